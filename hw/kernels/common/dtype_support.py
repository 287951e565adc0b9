"""Dtype support of a device."""

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_queries import KernelKind

PRODUCTS: tuple[KernelKind, ...] = ("gemm", "bmm", "conv2d", "attention_prefill", "attention_decode")
"""The kinds whose time is mostly that of multiply-accumulate chains."""

_NEEDS_A_UNIT: tuple[DType, ...] = ("f64", "tf32", "bf16", "f8", "i8")
"""Types that no library multiplies where the device has no peak for them; f16 is converted to f32."""

_COUNTS_ONLY: tuple[DType, ...] = ("i64", "i32", "i16", "i1")
"""Types that kernels of products are not made for."""


def require_type(device: Device, kind: KernelKind, dtype: DType) -> None:
    """Raise where a device cannot do a kind of kernel in a type.

    Raises:
        DeviceError: The device has no unit for products in the type; or the type is only one of a unit's
            operands (tf32), or of counters, and the kind is another.
    """
    known = sorted({*device.matrix_peak_flops_per_s, *device.vector_peak_flops_per_s})
    if kind in PRODUCTS:
        if dtype in _COUNTS_ONLY or (dtype in _NEEDS_A_UNIT and dtype not in known):
            raise DeviceError(
                what=f"device {device.name!r} has no unit for {kind} in {dtype}",
                why=f"its file gives peaks for {', '.join(known) or 'no type'}",
                fix="choose one of these types, or another device",
            )
    elif dtype == "tf32":
        raise DeviceError(
            what=f"there is no {kind} in tf32",
            why="tf32 is how products round f32, not a type of tensors",
            fix="write f32",
        )
