"""Row kernels: each row of a matrix is reduced and then gone over again, as in softmax and layer norm."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.dispatch import timed
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate, Launches
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.common.launch_grid import ELEMENTS_PER_THREAD, WARP, Grid
from steelyard.hw.kernels.common.memory_system import (
    MemorySystem,
    memory_coefficients,
    overlapped_s,
    unit_cycles_per_s,
    vector_floor_s,
)


@dataclass(frozen=True, slots=True)
class RowPass:
    """Passes of a kernel over its rows, a row each.

    Attributes:
        sm_cycles: Cycles of one SM for one row, when it has as many rows at once as it can hold.
        resident_elements: Elements of the rows that one SM works on at once.
        further_reads: Passes over a row after the first.
    """

    sm_cycles: Floats
    resident_elements: Floats
    further_reads: Floats


class RowKernel(ABC):
    """Model of a kernel that reduces each row of [rows, cols].

    busy = (memory^p + cycles^p)^(1/p). A row is read again from the last cache, unless the rows in flight on
    all SMs fill it: of rows in flight that take a part x of `spill_fraction` of the cache, min(1, x) of each
    further read comes from memory. Then `dispatch.timed`. The coefficients are `spill_fraction`, those of
    `memory_coefficients`, and the cycles of the subclass.
    """

    kind: str
    call_ratio: ClassVar[float]

    @abstractmethod
    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work of the definition."""

    @abstractmethod
    def row_pass(self, device: Device, cols: Floats, coefficients: Coefficients) -> RowPass:
        """Return how the kernel goes over rows of these lengths."""

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's family; cycles hold for all types, which are summed in f32.

        Raises:
            DeviceError: The device is no GPU.
        """
        table = f"memory_bound/{self.kind}"
        return {**memory_coefficients(device), **family_coefficients(table, "f32", device.architecture)}

    def estimate(self, batch: Launches) -> Estimate:
        """Return the time of each row of a batch.

        Raises:
            DeviceError: The bandwidth of the device is not known.
        """
        device, c, size_bytes = batch.device, batch.coefficients, element_bytes(batch.dtype)
        rows, cols = (batch.dims[name].astype(np.float64) for name in ("rows", "cols"))
        row_pass = self.row_pass(device, cols, c)
        memory = MemorySystem.of(device, c)
        # Weights and statistics, a vector each, stay in the cache: the matrix alone is streamed.
        read_bytes = size_bytes * rows * cols
        moved_bytes = 2 * read_bytes
        in_flight_bytes = np.minimum(
            device.compute_units.value * row_pass.resident_elements * size_bytes, read_bytes
        )
        room_bytes = max(c["spill_fraction"] * memory.cache_bytes, 1.0)
        spilled = np.minimum(in_flight_bytes / room_bytes, 1) * row_pass.further_reads
        again_bytes = read_bytes * row_pass.further_reads
        memory_bytes = (moved_bytes + read_bytes * spilled) * memory.missed(moved_bytes)
        memory_s = memory.seconds(memory_bytes, moved_bytes + again_bytes)
        cycles_s = rows * row_pass.sm_cycles / unit_cycles_per_s(device)

        busy_s = overlapped_s(memory_s, cycles_s, c["overlap_exponent"])
        limiter = np.where(cycles_s > memory_s, "compute", "memory")
        seconds, limiter = timed(batch.context, busy_s, limiter, self.call_ratio, c)
        cost = self.counts(batch.dtype, batch.dims)
        floor_s = np.maximum(memory.floor_s(cost), vector_floor_s(device, cost))
        return Estimate(np.maximum(seconds, floor_s), floor_s, limiter)


def row_grid(dims: Mapping[str, int | str]) -> Grid:
    """Return the grid of ATen's row kernels: a block a row (aten/src/ATen/native/cuda/SoftMax.cu)."""
    warps = ceil(int(dims["cols"]) / (WARP * ELEMENTS_PER_THREAD))
    return Grid(int(dims["rows"]), WARP * min(32, warps), 32, 0)
