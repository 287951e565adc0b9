"""Elementwise kernels: operands streamed through memory or cache, beside the function's arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.dispatch import timed
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Column, KernelKind
from steelyard.hw.kernels.common.memory_system import (
    MemorySystem,
    lanes_s,
    memory_coefficients,
    overlapped_s,
    vector_floor_s,
)
from steelyard.hw.kernels.memory_bound.elementwise_functions import function_columns


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Elementwise functions over [rows, cols], as ATen's vectorised kernels do them.

    busy = (memory^p + arithmetic^p)^(1/p), then `overhead.timed`. The coefficients are those of
    `memory_system.memory_coefficients`.
    """

    @property
    def kind(self) -> KernelKind:
        """`elementwise`."""
        return "elementwise"

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work; a transcendental function or division counts as one operation.

        Raises:
            UsageError: A function is not known.
        """
        function = function_columns(dims["fn"])
        elements = dims["rows"].astype(np.float64) * dims["cols"]
        size_bytes = element_bytes(dtype)
        return KernelCost(
            pointwise_flops=function.pointwise * elements,
            transcendental_flops=function.special * elements,
            bytes_read=function.reads * size_bytes * elements,
            bytes_written=function.writes * size_bytes * elements,
        )

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's memory.

        Raises:
            DeviceError: The device is no GPU.
        """
        return memory_coefficients(device)

    def estimate(
        self,
        device: Device,
        dtype: DType,
        context: ExecutionContext,
        dims: Mapping[str, Column],
        coefficients: Coefficients,
    ) -> Estimate:
        """Return the time of each row.

        Raises:
            DeviceError: The bandwidth of the device is not known.
            UsageError: A function is not known.
        """
        function = function_columns(dims["fn"])
        counts = self.counts(dtype, dims)
        memory = MemorySystem.of(device, coefficients)
        moved_bytes = counts.touched_bytes
        memory_s = memory.seconds(moved_bytes * memory.missed(moved_bytes), moved_bytes)
        elements = dims["rows"].astype(np.float64) * dims["cols"]
        arithmetic_s = lanes_s(device, function.lane_cycles * elements)
        busy_s = overlapped_s(memory_s, arithmetic_s, coefficients["overlap_exponent"])
        limiter = np.where(arithmetic_s > memory_s, "compute", "memory")
        seconds, limiter = timed(context, busy_s, limiter, function.call_ratio, coefficients)
        floor_s = np.maximum(memory.floor_s(counts), vector_floor_s(device, counts))
        return Estimate(np.maximum(seconds, floor_s), floor_s, limiter)
