"""Indexing maps of views: the index of an element of the source for each index of a result."""

from collections.abc import Mapping, Sequence
from math import gcd, prod
from typing import NamedTuple

from steelyard.compiler.semantics.equation import row_major
from steelyard.compiler.semantics.iteration_space import Index, IndexingMap, IterationSpace

Shape = tuple[int, ...]


class ViewMap(NamedTuple):
    """The indices of a source and of one result over common dims.

    Attributes:
        dims: The iteration dims and their extents.
        source: The indices of the source.
        result: The indices of the result.
        moved: Dims along which elements change their place in a way that no affine function says.
    """

    dims: Mapping[str, int]
    source: tuple[Index, ...]
    result: tuple[Index, ...]
    moved: frozenset[str] = frozenset()

    def space(self, source: IndexingMap, result: IndexingMap) -> IterationSpace:
        """Return the iteration space that reads the source and writes the result; no kernel runs it."""
        return IterationSpace(self.dims, self.moved, (source,), (result,), combine="opaque")


def identity(before: Shape, after: Shape) -> ViewMap | None:
    """The same dims."""
    return reshaped(before, after) if before == after else None


def reshaped(before: Shape, after: Shape) -> ViewMap | None:
    """The same elements in the same order: common factors of both shapes, from the outermost on.

    Where remaining sizes have no common factor, as in [4, 6] to [3, 8], elements move within these dims.
    """
    if prod(before) != prod(after) or 0 in before:
        return None
    sides: tuple[list[list[str]], list[list[str]]] = [[] for _ in before], [[] for _ in after]
    dims: dict[str, int] = {}
    moved: set[str] = set()
    left, right = list(before), list(after)
    i = j = 0

    def take(side: int, at: int, name: str, size: int) -> None:
        dims[name] = size
        sides[side][at].append(name)

    while i < len(left) and j < len(right):
        if left[i] == 1:
            i += 1
        elif right[j] == 1:
            j += 1
        elif (common := gcd(left[i], right[j])) > 1:
            name = f"d{len(dims)}"
            take(0, i, name, common)
            take(1, j, name, common)
            left[i] //= common
            right[j] //= common
        else:
            # Up to the place at which as many elements lie behind on both sides.
            here = [left[i], right[j]]
            for side, at, sizes in ((0, i, left), (1, j, right)):
                name = f"{'from' if side == 0 else 'to'}{len(dims)}"
                take(side, at, name, sizes[at])
                moved.add(name)
            i, j = i + 1, j + 1
            while here[0] != here[1]:
                side, at, sizes = (0, i, left) if here[0] < here[1] else (1, j, right)
                name = f"{'from' if side == 0 else 'to'}{len(dims)}"
                take(side, at, name, sizes[at])
                moved.add(name)
                here[side] *= sizes[at]
                i, j = i + (side == 0), j + (side == 1)
    source, result = (tuple(row_major(names, dims) for names in side) for side in sides)
    return ViewMap(dims, source, result, frozenset(moved))


def expanded(before: Shape, after: Shape) -> ViewMap | None:
    """Dims in front are new, dims of extent 1 are repeated."""
    new = len(after) - len(before)
    if new < 0:
        return None
    result = _indices(len(after))
    source = tuple(result[new + at] if size == after[new + at] else Index() for at, size in enumerate(before))
    return ViewMap(_named(after), source, result)


def permuted(before: Shape, order: Sequence[int]) -> ViewMap | None:
    """Dim `i` of the result is dim `order[i]` of the source."""
    if sorted(order) != [*range(len(before))]:
        return None
    source = _indices(len(before))
    return ViewMap(_named(before), source, tuple(source[at] for at in order))


def sliced(
    before: Shape, after: Shape, dim: int, start: int, step: int = 1, name: str = ""
) -> ViewMap | None:
    """Every `step`-th index along one dim, from `start` on.

    Args:
        before: The shape of the source.
        after: That of the result.
        dim: The dim of which a part is taken.
        start: The first index.
        step: The distance of indices.
        name: The iteration dim along it, where it is not that of the source.
    """
    if len(before) != len(after):
        return None
    source, result = list(_indices(len(before))), list(_indices(len(before)))
    along = name or f"d{dim}"
    source[dim], result[dim] = Index(((along, step),), start), Index(((along, 1),))
    dims = _named(after)
    dims[along] = dims.pop(f"d{dim}")
    return ViewMap(dims, tuple(source), tuple(result))


def selected(before: Shape, dim: int, index: int) -> ViewMap:
    """One index of a dim, which the result has no more."""
    source = list(_indices(len(before)))
    result = source.copy()
    del result[dim]
    source[dim] = Index(offset=index)
    dims = _named(before)
    del dims[f"d{dim}"]
    return ViewMap(dims, tuple(source), tuple(result))


def diagonal(before: Shape, after: Shape, offset: int, dims: tuple[int, int]) -> ViewMap | None:
    """Elements whose indices along two dims differ by `offset`, along a last dim."""
    if len(after) != len(before) - 1:
        return None
    source = list(_indices(len(before)))
    result = [index for at, index in enumerate(source) if at not in dims]
    first, second = (Index((("diagonal", 1),), max(0, each)) for each in (-offset, offset))
    source[dims[0]], source[dims[1]] = first, second
    named = {name: size for at, (name, size) in enumerate(_named(before).items()) if at not in dims}
    named["diagonal"] = after[-1]
    return ViewMap(named, tuple(source), (*result, Index((("diagonal", 1),))))


def windows(before: Shape, after: Shape, dim: int, step: int) -> ViewMap | None:
    """Windows along a dim, whose elements lie along a last dim."""
    if len(after) != len(before) + 1:
        return None
    source, result = list(_indices(len(before))), list(_indices(len(before)))
    source[dim] = Index(((f"d{dim}", step), ("tap", 1)))
    dims = _named(after[:-1]) | {"tap": after[-1]}
    return ViewMap(dims, tuple(source), (*result, Index((("tap", 1),))))


def _named(shape: Sequence[int]) -> dict[str, int]:
    return {f"d{at}": size for at, size in enumerate(shape)}


def _indices(rank: int) -> tuple[Index, ...]:
    return tuple(Index(((f"d{at}", 1),)) for at in range(rank))
