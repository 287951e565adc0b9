"""Matrix products, plain and batched: each goes to the unit of the device that multiplies its type."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate, KernelModel
from steelyard.hw.kernels.common.kernel_queries import Column
from steelyard.hw.kernels.gemm.simt import SimtGemm
from steelyard.hw.kernels.gemm.tensor_core import TensorGemm

_TENSOR_TYPES: tuple[DType, ...] = ("tf32", "f16", "bf16", "f8")


@dataclass(frozen=True, slots=True)
class Gemm:
    """Products on tensor cores where the device has them for the type, else on its vector lanes.

    Where f32 may round to TF32 the caller asks in `tf32`, so that coefficients and estimate are of one unit;
    a device without such units multiplies it in f32.
    """

    kind: Literal["gemm", "bmm"]

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work; that of one type is the same on every unit."""
        model = TensorGemm(self.kind) if dtype in _TENSOR_TYPES else SimtGemm(self.kind)
        return model.counts(dtype, dims)

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's architecture family for this type.

        Raises:
            DeviceError: The device lacks a unit for the type.
        """
        return self._on(device, dtype).coefficients(device, dtype)

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
            DeviceError: The device lacks a unit for the type, or its memory is not described.
        """
        return self._on(device, dtype).estimate(device, dtype, context, dims, coefficients)

    def _on(self, device: Device, dtype: DType) -> KernelModel:
        if dtype in _TENSOR_TYPES and dtype in device.matrix_peak_flops_per_s:
            return TensorGemm(self.kind)
        return SimtGemm(self.kind)
