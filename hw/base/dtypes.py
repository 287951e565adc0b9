"""Element sizes of dtypes, in bytes."""

from steelyard.hw.base.kernel_work import DType

_BYTES: dict[DType, int] = {
    "f64": 8,
    "f32": 4,
    "tf32": 4,
    "f16": 2,
    "bf16": 2,
    "f8": 1,
    "i64": 8,
    "i32": 4,
    "i16": 2,
    "i8": 1,
    "i1": 1,
}


def element_bytes(dtype: DType) -> int:
    """Return the size of an element in memory."""
    return _BYTES[dtype]
