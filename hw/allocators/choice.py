"""Which allocator serves the tensors of a device, and what is lost of the device's memory beside it."""

from dataclasses import dataclass

from steelyard.hw.allocators.allocator import Allocator
from steelyard.hw.allocators.cpu import CpuAllocator
from steelyard.hw.allocators.cuda_caching import CudaCachingAllocator
from steelyard.hw.allocators.cuda_options import CudaOptions
from steelyard.hw.device import Device
from steelyard.hw.units import MIB


@dataclass(frozen=True, slots=True)
class Overhead:
    """Bytes of a device that no tensor can have: value, low and high."""

    value: int
    low: int
    high: int


_CONTEXT = Overhead(300 * MIB, 200 * MIB, 1000 * MIB)
"""The CUDA context and the code of the libraries. Value: with lazy loading, CUDA 11.7 and later (pytorch
issue 107667); low and high: what users saw by card (pytorch issues 28113 and 28394)."""


def context_overhead(device: Device) -> Overhead:
    """Return what the driver and the libraries hold on a device; nothing on a CPU."""
    return Overhead(0, 0, 0) if device.kind == "cpu" else _CONTEXT


def make_allocator(
    device: Device, capacity_bytes: int | None = None, options: CudaOptions | None = None
) -> Allocator:
    """Return an empty allocator as PyTorch has it on a device.

    Other accelerators than NVIDIA's have ports of the CUDA allocator with the same rules (ROCm's is compiled
    from the same source).

    Args:
        device: The device.
        capacity_bytes: What it may take from the device; None for no limit.
        options: Of the CUDA allocator.
    """
    if device.kind == "cpu":
        return CpuAllocator(capacity_bytes)
    return CudaCachingAllocator(capacity_bytes, options)
