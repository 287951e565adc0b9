"""A nest: an iteration space, how tensors are read and written over it, and what is done at each point."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from steelyard.compiler.semantics.tensor_type import ITEM_BYTES, TensorType
from steelyard.hw.base.kernel_cost import KernelCost

Combiner = Literal["sum", "max", "min", "prod", "other"]
"""How the points along a reduction dim come together; "other" cannot be computed in parts."""


@dataclass(frozen=True, slots=True)
class IndexingMap:
    """How a tensor is indexed over an iteration space.

    Attributes:
        value: The argument ("mat1", "tensors[0]") or the result ("result0").
        type: Its type.
        dims: For each dim of the tensor the iteration dims that index it: one; several, outermost first, if
            they make up the tensor dim together (groups x channels) or slide over it (output + kernel); none
            if the tensor is broadcast along it; None if the data decide (a gather or a scatter).
    """

    value: str
    type: TensorType
    dims: tuple[tuple[str, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class IterationSpace:
    """An iteration space and what happens in it.

    Attributes:
        dims: The iteration dims and their extents.
        reduction: Those dims along which points come together; the others are parallel.
        reads: The tensors read.
        writes: The tensors written.
        flops_per_iteration: The FLOPs of one iteration, by unit.
        combine: How points come together along the reduction dims.
    """

    dims: Mapping[str, int]
    reduction: frozenset[str] = frozenset()
    reads: tuple[IndexingMap, ...] = ()
    writes: tuple[IndexingMap, ...] = ()
    flops_per_iteration: KernelCost[int] = KernelCost()  # noqa: RUF009 - frozen
    combine: Combiner = "sum"

    @property
    def size(self) -> int:
        """How many points the space has."""
        return prod(self.dims.values())

    @property
    def arithmetic(self) -> KernelCost[int]:
        """The FLOPs of all iterations, by unit."""
        return self.flops_per_iteration * self.size

    def touched_bytes(self, access: IndexingMap) -> int:
        """Return the bytes of a tensor that the nest touches, each element counted once.

        A gather touches no more than the tensor has and no more than there are points to ask for.
        """
        touched = gathered = 1
        used: set[str] = set()
        for size, dims in zip(access.type.shape, access.dims, strict=True):
            if dims is None:
                gathered *= size
                continue
            touched *= min(size, prod(self.dims[dim] for dim in dims))
            used.update(dims)
        if None in access.dims:
            asked = prod(extent for dim, extent in self.dims.items() if dim not in used)
            touched *= min(gathered, asked)
        return touched * ITEM_BYTES[access.type.dtype]
