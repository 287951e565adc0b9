"""Iteration spaces: affine indexing maps of tensors, and the operations at each point, as in linalg."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

from steelyard.compiler.semantics.tensor_type import ITEM_BYTES, TensorType

Combiner = Literal["sum", "max", "min", "prod", "argmax", "online_softmax", "welford", "opaque"]
"""The monoid by which the points along a reduction dim come together.

`argmax` is a value with its place; `online_softmax` a maximum and a sum of exponentials that is rescaled
(M. Milakov and N. Gimelshein, arXiv:1805.02867); `welford` a count, a mean and a sum of squared differences
(B. P. Welford, 1962); `opaque` needs all points at once: scans, sorts, elements that change their place.
"""

COLLECTIVE_COMBINERS: tuple[Combiner, ...] = ("sum", "max", "min", "prod")
"""Those whose partial results are tensors that an all-reduce combines."""


@dataclass(frozen=True, slots=True)
class Flops:
    """Operations by kind; a multiply-accumulate is 2 of `contraction`, an exp is 1 `transcendental`."""

    contraction: int = 0
    pointwise: int = 0
    transcendental: int = 0

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(
            self.contraction + other.contraction,
            self.pointwise + other.pointwise,
            self.transcendental + other.transcendental,
        )

    def __mul__(self, times: int) -> "Flops":
        return Flops(self.contraction * times, self.pointwise * times, self.transcendental * times)

    @property
    def total(self) -> int:
        """Operations of all kinds."""
        return self.contraction + self.pointwise + self.transcendental


_COMPLEX = Flops(contraction=4, pointwise=2, transcendental=2)
"""Real operations for one of complex numbers: a multiply-accumulate is 8 instead of 2, a sum 2 for 1."""


def real_operations(flops: Flops, dtypes: Iterable[str]) -> Flops:
    """Return operations as those of real numbers.

    Args:
        flops: Those at one point, as for real numbers.
        dtypes: The element types of what the point reads and writes.
    """
    if not any(dtype.startswith("c") for dtype in dtypes):
        return flops
    return Flops(
        flops.contraction * _COMPLEX.contraction,
        flops.pointwise * _COMPLEX.pointwise,
        flops.transcendental * _COMPLEX.transcendental,
    )


class Index(NamedTuple):
    """The index along one tensor dim: an affine function of iteration dims, or a place that data decide.

    Attributes:
        terms: The iteration dims with their strides, outermost first: `g*c` has those of a row-major product,
            a window `o*2+k-1` one for each of its dims. Without terms the tensor is broadcast along the dim,
            or `offset` selects one element of it.
        offset: The index where all iteration dims are 0.
        gathered: Whether no affine function gives the index (a gather, a scatter, a resampling).
        by: The operand that holds a gathered index, "" where none does.
    """

    terms: tuple[tuple[str, int], ...] = ()
    offset: int = 0
    gathered: bool = False
    by: str = ""

    @property
    def dims(self) -> tuple[str, ...]:
        """The iteration dims, outermost first."""
        return tuple(dim for dim, _ in self.terms)


@dataclass(frozen=True, slots=True)
class IndexingMap:
    """The indices of a tensor over an iteration space.

    Attributes:
        value: The argument ("mat1", "tensors[0]") or the result ("result0").
        type: Its type.
        indices: One for each dim of the tensor.
    """

    value: str
    type: TensorType
    indices: tuple[Index, ...]

    @property
    def dims(self) -> set[str]:
        """The iteration dims that index the tensor."""
        return {dim for index in self.indices for dim, _ in index.terms}

    @property
    def row_major_dims(self) -> tuple[str, ...]:
        """The iteration dims in the order in which a dense tensor has them in memory, outermost first."""
        return tuple(dim for index in self.indices for dim, _ in index.terms)

    @property
    def is_gathered(self) -> bool:
        """Whether data decide an index."""
        return any(index.gathered for index in self.indices)


@dataclass(frozen=True, slots=True)
class Mean:
    """The division of what a space computes by the number of its points, in a mean or in its gradient.

    Attributes:
        over: The dims whose points are counted.
        weight: The value that holds the divisor where it is another one: a result such as "result1".
        as_sum: The arguments with which the op leaves the division by `weight` out.
    """

    over: frozenset[str]
    weight: str = ""
    as_sum: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class IterationSpace:
    """An iteration space and its operations.

    Attributes:
        dims: The iteration dims and their extents.
        reduction: Those dims along which points come together; the others are parallel.
        reads: The tensors read.
        writes: The tensors written.
        flops_per_iteration: The operations at each point.
        combine: The monoid along the reduction dims.
        shapes: Tensors that are not read and give the extents of dims by their shape (`zeros_like`).
        mean: A division by a number of points.
        positional: The dims along which an element's place in the whole tensor matters (a causal mask).
    """

    dims: Mapping[str, int]
    reduction: frozenset[str] = frozenset()
    reads: tuple[IndexingMap, ...] = ()
    writes: tuple[IndexingMap, ...] = ()
    flops_per_iteration: Flops = Flops()
    combine: Combiner = "sum"
    shapes: tuple[IndexingMap, ...] = ()
    mean: Mean | None = None
    positional: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """The number of points."""
        return prod(self.dims.values())

    @property
    def flops(self) -> Flops:
        """The operations of all points."""
        return self.flops_per_iteration * self.size

    @property
    def maps(self) -> tuple[IndexingMap, ...]:
        """All indexing maps: of tensors read, written, and asked for their shape."""
        return (*self.reads, *self.writes, *self.shapes)

    def is_row_major(self, index: Index) -> bool:
        """Return whether the points of the dims of an index are consecutive elements, without overlap."""
        stride = 1
        for dim, given in reversed(index.terms):
            if given != stride and self.dims[dim] > 1:
                return False
            stride *= self.dims[dim]
        return not index.gathered

    def touched_bytes(self, access: IndexingMap) -> int:
        """Return the bytes of a tensor that the space touches, each element counted once.

        A gather touches no more than the tensor has and no more than there are points to ask for.
        """
        touched = gathered = 1
        is_gathered = False
        for size, index in zip(access.type.shape, access.indices, strict=True):
            if index.gathered:
                is_gathered = True
                gathered *= size
            else:
                touched *= min(size, prod([self.dims[dim] for dim, _ in index.terms]))
        if is_gathered:
            used = access.dims
            touched *= min(gathered, prod(extent for dim, extent in self.dims.items() if dim not in used))
        return touched * ITEM_BYTES[access.type.dtype]
