"""Choice of the allocator model for a device."""

from steelyard.hw.allocators.allocator import Allocator
from steelyard.hw.allocators.cpu import CpuAllocator
from steelyard.hw.allocators.cuda_caching import CudaCachingAllocator
from steelyard.hw.allocators.onnxruntime_arena import ArenaOptions, OnnxRuntimeArena
from steelyard.hw.allocators.options import AllocatorOptions
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device


def make_allocator(
    device: Device, capacity_bytes: int | None = None, options: AllocatorOptions | None = None
) -> Allocator:
    """Return an empty model of PyTorch's allocator on a device, or of ONNX Runtime's arena.

    Accelerators of other vendors have ports of the CUDA allocator with the same rules (ROCm compiles the same
    source).

    Args:
        device: The device.
        capacity_bytes: Most bytes it may take from the device; None for no limit.
        options: Options of the CUDA allocator, or of the arena, which select the arena.

    Raises:
        UsageError: Options of the CUDA allocator were given for a CPU.
    """
    if isinstance(options, ArenaOptions):
        return OnnxRuntimeArena(capacity_bytes, options)
    if device.kind != "cpu":
        if options and capacity_bytes is not None:
            share = options.per_process_memory_fraction * device.memory_capacity_bytes.value
            capacity_bytes = min(capacity_bytes, int(share))
        return CudaCachingAllocator(capacity_bytes, options)
    if options:
        raise UsageError(
            what=f"the allocator of {device.name} has no options",
            why="PyTorch asks malloc for every tensor on a CPU",
            fix="leave --allocator out, or choose backend:onnxruntime",
        )
    return CpuAllocator(capacity_bytes)
