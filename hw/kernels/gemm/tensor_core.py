"""Matrix products on tensor cores: tiles and waves on the SMs, traffic past the last cache, the launch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.dispatch import after_dispatch
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate, Launches
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.common.memory_system import overlapped_s
from steelyard.hw.kernels.common.power import sustained_fraction, throttled_s
from steelyard.hw.kernels.gemm.shape import MATRIX_DTYPES, Products, products
from steelyard.hw.kernels.gemm.tensor_core_tiles import TensorCores, on_chip_s
from steelyard.hw.kernels.gemm.tensor_core_traffic import memory_traffic


@dataclass(frozen=True, slots=True)
class TensorGemm:
    """Products of a `gemm` or a `bmm` on tensor cores.

    seconds = launch + (on_chip^p + memory^p)^(1/p), at least the floor. The coefficients:

    - launch_cycles: a kernel that does nothing, in a graph.
    - multiply_fraction: part of the peak that the inner loop reaches at the boost clock.
    - fetch_bytes_per_kilomac: operands that an SM fetches in the time its tensor cores need for 1024 16-bit
      multiply-accumulates; lone_fetch_bytes_per_kilomac: what one tile alone on its SM gets of them.
    - store_bytes_per_kilomac: results that an SM writes in that time.
    - split_cycles: the cost of cutting the sums in parts, besides the partial sums.
    - power_fraction: part of the power limit that the multiplications of a long product get.
    - unaligned_fraction: the speed left where rows are not aligned to 16 bytes.
    - memory_fraction: part of the pin rate; memory_latency_cycles: the first bytes from memory.
    - cache_fraction: part of the last cache that keeps data for the next kernel.
    - overlap_exponent: p, how well memory and SMs overlap (large: the longer one alone counts).
    """

    kind: Literal["gemm", "bmm"]

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work; each operand is read once."""
        return products(self.kind, dtype, dims).cost

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the architecture; one table, fitted in bf16, serves all types.

        Raises:
            DeviceError: The device has no tensor cores for the type.
        """
        _peak_flops_per_s(device, dtype)
        return family_coefficients("gemm/gemm_tensor", "bf16", device.architecture)

    def estimate(self, batch: Launches) -> Estimate:
        """Return the time of each row.

        Raises:
            DeviceError: The device has no tensor cores for the type, or its memory is not described.
        """
        shape = products(self.kind, batch.dtype, batch.dims)
        c = batch.coefficients
        peak_flops_per_s = _peak_flops_per_s(batch.device, batch.dtype)
        bandwidth_bytes_per_s, cache_bytes = _memory(batch.device)
        cores = TensorCores.of(batch.device, peak_flops_per_s, shape.operand_bytes)

        multiply_s = 2 * shape.macs / (peak_flops_per_s * c["multiply_fraction"])
        on_chip = on_chip_s(shape, cores, c) + _throttled_s(batch.device, multiply_s, c)
        moved_bytes, misses = memory_traffic(shape, cache_bytes * c["cache_fraction"])
        memory = moved_bytes / (bandwidth_bytes_per_s * c["memory_fraction"])
        memory += misses * c["memory_latency_cycles"] / cores.clock_hz
        overlapped = overlapped_s(on_chip, memory, c["overlap_exponent"])

        floor_s = _floor_s(shape, peak_flops_per_s, bandwidth_bytes_per_s, cache_bytes)
        launch_s = c["launch_cycles"] / cores.clock_hz
        seconds = np.maximum(launch_s + overlapped, floor_s)
        limiter = np.where(memory > on_chip, "memory", "compute")
        limiter = np.where(launch_s > overlapped, "launch", limiter)
        seconds, limiter = after_dispatch(batch.device, batch.context, seconds, limiter)
        return Estimate(seconds=seconds, floor_s=floor_s, limiter=limiter)


def _throttled_s(device: Device, multiply_s: Floats, c: Coefficients) -> Floats:
    """Return how much longer than `multiply_s`, at the boost clock, multiplications take under a power limit.

    The energy of a multiplication is that of `steelyard.hw.kernels.common.power` at 16 bits, whatever the
    type.
    """
    sustained = sustained_fraction(device, "f16", "matrix", c["power_fraction"])
    return throttled_s(multiply_s, sustained)


def _floor_s(
    shape: Products, peak_flops_per_s: float, bandwidth_bytes_per_s: float, cache_bytes: float
) -> Floats:
    streamed_bytes = np.maximum(shape.cost.touched_bytes - cache_bytes, 0)
    return np.maximum(2 * shape.macs / peak_flops_per_s, streamed_bytes / bandwidth_bytes_per_s)


def _peak_flops_per_s(device: Device, dtype: DType) -> float:
    peak = device.matrix_peak_flops_per_s.get(dtype) if dtype in MATRIX_DTYPES else None
    if peak is None:
        raise DeviceError(
            what=f"{device.name} has no tensor cores for {dtype}",
            why=f"its data sheet gives {', '.join(device.matrix_peak_flops_per_s) or 'no matrix peak'}",
            fix="choose another type or device, or add the peak to the device's file",
        )
    return peak.value


def _memory(device: Device) -> tuple[float, float]:
    bandwidth, cache = device.memory_bandwidth_bytes_per_s, device.l2_bytes
    if bandwidth is None or cache is None:
        both = {"memory_bandwidth_bytes_per_s": bandwidth, "l2_bytes": cache}
        lacking = [name for name, number in both.items() if number is None]
        raise DeviceError(
            what=f"a matrix product on {device.name} cannot be priced",
            why=f"its file lacks {' and '.join(lacking)}",
            fix="add what is missing from the data sheet",
        )
    return bandwidth.value, cache.value
