"""The names that people and tools write for types."""

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.base.kernel_work import DType

_SPELLINGS: dict[DType, tuple[str, ...]] = {
    "f64": ("f64", "fp64", "float64", "double"),
    "f32": ("f32", "fp32", "float32", "float"),
    "tf32": ("tf32",),
    "f16": ("f16", "fp16", "float16", "half"),
    "bf16": ("bf16", "bfloat16"),
    "f8": ("f8", "fp8", "float8", "float8_e4m3fn", "float8_e5m2", "fp8_e4m3", "fp8_e5m2", "e4m3", "e5m2"),
    "i64": ("i64", "int64", "long"),
    "i32": ("i32", "int32", "int"),
    "i16": ("i16", "int16"),
    "i8": ("i8", "int8"),
    "i1": ("i1", "bool"),
}
_TYPES: dict[str, DType] = {
    spelling: dtype for dtype, spellings in _SPELLINGS.items() for spelling in spellings
}


def parse_dtype(text: str) -> DType:
    """Return the type that a name such as "bfloat16" or "FP32" stands for.

    Raises:
        UsageError: It stands for none.
    """
    name = text.strip().lower().removeprefix("torch.")
    if name not in _TYPES:
        raise UsageError(what=f"there is no dtype {text!r}", fix=did_you_mean(name, _TYPES))
    return _TYPES[name]
