"""The type of a tensor: its shape and the type of its elements."""

from dataclasses import dataclass
from math import prod

ITEM_BYTES = {
    "c128": 16,
    "c64": 8,
    "c32": 4,
    "f64": 8,
    "f32": 4,
    "f16": 2,
    "bf16": 2,
    "f8": 1,
    "i64": 8,
    "i32": 4,
    "i16": 2,
    "i8": 1,
    "ui64": 8,
    "ui32": 4,
    "ui16": 2,
    "ui8": 1,
    "i1": 1,
}
"""Bytes that one element takes in memory; a truth value takes a whole byte."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """A shape and an element type such as "f32", "bf16", "i64", "ui8", "i1" or "c64"."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size of the elements in bytes."""
        return self.numel * ITEM_BYTES[self.dtype]
