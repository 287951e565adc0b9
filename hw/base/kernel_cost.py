"""Kernel cost: FLOPs by execution unit and bytes moved, of one kernel or, as columns, of many."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:  # devices and descriptions of ops are read without numpy
    import numpy as np
    from numpy.typing import NDArray

Count = TypeVar("Count", int, "NDArray[np.float64]")

_NONE: Any = 0
"""Zero, of one kernel or of any number of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCost(Generic[Count]):
    """FLOPs and bytes: integers for one kernel (or one iteration), numpy columns with a row for each of many.

    Attributes:
        contraction_flops: Operations of multiply-accumulate chains, which a matrix unit can take (1 MAC = 2).
        pointwise_flops: Additions, multiplications, comparisons and the like.
        transcendental_flops: Calls of exp, log, tanh, sqrt, division and the like, each counted once.
        bytes_read: Bytes read from memory.
        bytes_written: Bytes written to memory.
    """

    contraction_flops: Count = _NONE
    pointwise_flops: Count = _NONE
    transcendental_flops: Count = _NONE
    bytes_read: Count = _NONE
    bytes_written: Count = _NONE

    @property
    def flops(self) -> Count:
        """FLOPs of all units."""
        return self.contraction_flops + self.pointwise_flops + self.transcendental_flops

    @property
    def touched_bytes(self) -> Count:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written

    def counts(self) -> dict[str, Any]:
        """Return the five counts by name."""
        return {each.name: getattr(self, each.name) for each in fields(KernelCost)}

    def split(self: "KernelCosts", rows: int) -> "list[KernelCost[int]]":
        """Return the cost of each of so many kernels by itself, rounded down."""
        import numpy as np

        names, columns = self.counts().keys(), self.counts().values()
        whole = [np.broadcast_to(column, rows).astype(np.int64).tolist() for column in columns]
        return [KernelCost(**dict(zip(names, row, strict=True))) for row in zip(*whole, strict=True)]

    def __add__(self, other: "KernelCost[Count]") -> "KernelCost[Count]":
        added = other.counts()
        return KernelCost(**{name: count + added[name] for name, count in self.counts().items()})

    def __mul__(self, times: Count) -> "KernelCost[Count]":
        return KernelCost(**{name: count * times for name, count in self.counts().items()})


KernelCosts: TypeAlias = KernelCost["NDArray[np.float64]"]
"""Columns: a row a kernel."""
