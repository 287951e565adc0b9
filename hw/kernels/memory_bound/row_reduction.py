"""Kernels that reduce each row of a matrix and then go over it again: softmax and layer norm."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.dispatch import CALL_RATIOS, timed
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelKind
from steelyard.hw.kernels.common.memory_system import (
    MemorySystem,
    overlapped_s,
    unit_cycles_per_s,
    vector_floor_s,
)


@dataclass(frozen=True, slots=True)
class RowPass:
    """Passes of kernels over their rows, one row a kernel.

    Attributes:
        sm_cycles: Cycles of one SM for one row, when it has as many rows at once as it can hold.
        resident_elements: Elements of the rows that one SM works on at once.
        further_reads: How often a row is read again after the first time.
    """

    sm_cycles: Floats
    resident_elements: Floats
    further_reads: Floats


def row_elements(dims: Mapping[str, Column]) -> Floats:
    """Return the elements of [rows, cols]."""
    return dims["rows"].astype(np.float64) * dims["cols"]


def row_counts(dtype: DType, dims: Mapping[str, Column], pointwise: float, special: float) -> KernelCosts:
    """Return the work of kernels that read and write [rows, cols] once, with this much for each element."""
    elements = row_elements(dims)
    return KernelCost(
        pointwise_flops=pointwise * elements,
        transcendental_flops=special * elements,
        bytes_read=element_bytes(dtype) * elements,
        bytes_written=element_bytes(dtype) * elements,
    )


def row_estimate(
    kind: KernelKind,
    device: Device,
    dtype: DType,
    context: ExecutionContext,
    dims: Mapping[str, Column],
    counts: KernelCosts,
    row_pass: RowPass,
    coefficients: Coefficients,
) -> Estimate:
    """Return the time of each row.

    busy = (memory^p + cycles^p)^(1/p). A row is read again from the last cache, unless the rows in flight on
    all SMs fill it: of rows in flight that take a part x of `spill_fraction` of the cache, min(1, x) of each
    further read comes from memory. Then `overhead.timed`.

    Raises:
        DeviceError: The bandwidth of the device is not known.
    """
    memory = MemorySystem.of(device, coefficients)
    moved_bytes = counts.touched_bytes
    in_flight_bytes = np.minimum(
        device.compute_units.value * row_pass.resident_elements * element_bytes(dtype), counts.bytes_read
    )
    room_bytes = max(coefficients["spill_fraction"] * memory.cache_bytes, 1.0)
    spilled = np.minimum(in_flight_bytes / room_bytes, 1) * row_pass.further_reads
    again_bytes = counts.bytes_read * row_pass.further_reads
    memory_bytes = (moved_bytes + counts.bytes_read * spilled) * memory.missed(moved_bytes)
    memory_s = memory.seconds(memory_bytes, moved_bytes + again_bytes)
    cycles_s = dims["rows"] * row_pass.sm_cycles / unit_cycles_per_s(device)

    busy_s = overlapped_s(memory_s, cycles_s, coefficients["overlap_exponent"])
    limiter = np.where(cycles_s > memory_s, "compute", "memory")
    seconds, limiter = timed(context, busy_s, limiter, CALL_RATIOS[kind], coefficients)
    floor_s = np.maximum(memory.floor_s(counts), vector_floor_s(device, counts))
    return Estimate(np.maximum(seconds, floor_s), floor_s, limiter)
