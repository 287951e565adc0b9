"""Iteration spaces from equations such as "m k, k n -> m n" over the tensors of a call.

Terms are separated by commas, the dims of a term by spaces:

- `m`: a dim; its extent is that of the tensors, which may be 1 to be broadcast;
- `...`: any further dims, aligned at the right and broadcast as in torch;
- `k*g`: dims that make up a tensor dim together, outermost first; their extents are given;
- `o*2+k-1`: an affine index with strides and an offset, such as that of a window; extents are given;
- `+3`: one element of the tensor dim;
- `1`: the tensor is broadcast along this dim;
- `?ids`: the data in the operand `ids` decide (a gather or a scatter); `?` where no operand holds the index.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod

from steelyard.compiler.semantics.call import Value
from steelyard.compiler.semantics.iteration_space import (
    Combiner,
    Flops,
    Index,
    IndexingMap,
    IterationSpace,
    Mean,
    real_operations,
)
from steelyard.hw.base.errors import IRError

Term = tuple[str, ...]

_ROW_MAJOR = re.compile(r"[A-Za-z_]\w*(\*[A-Za-z_]\w*)+")
_SUMMAND = re.compile(r"([+-]?)(?:([A-Za-z_]\w*)(?:\*(\d+))?|(\d+))")
_AFFINE = re.compile(rf"({_SUMMAND.pattern})+")


def iteration_space(
    equation: str,
    reads: Sequence[Value | None],
    writes: Sequence[Value | None],
    flops_per_iteration: Flops = Flops(),  # noqa: B008 - frozen
    *,
    sizes: Mapping[str, int] | None = None,
    reduction: Sequence[str] = (),
    combine: Combiner = "sum",
    mean: Mean | None = None,
    positional: Sequence[str] = (),
) -> IterationSpace:
    """Return the iteration space of an equation.

    Args:
        equation: Terms for `reads`, an arrow, terms for `writes`.
        reads: The tensors read; None for one that is held on chip, whose term only names dims.
        writes: The tensors written; None as above.
        flops_per_iteration: The operations at each point, as for real numbers; complex ones take more.
        sizes: The extents of dims that no tensor dim shows alone.
        reduction: Dims to reduce over although the result has them, such as the dim of a softmax. Those that
            are read and not written are reduced in any case.
        combine: The monoid by which points come together along the reduction dims.
        mean: A division of the result by a number of points.
        positional: Dims along which an element's place in the whole tensor matters.

    Raises:
        IRError: The tensors do not fit the equation.
    """
    # An empty side is one tensor without dims, or no tensor.
    inputs, outputs = (
        () if terms == ((),) and not values else terms
        for terms, values in zip(parse(equation), (reads, writes), strict=True)
    )
    if len(inputs) != len(reads) or len(outputs) != len(writes):
        raise IRError(
            what=f"the equation {equation!r} does not fit the op",
            why=f"it has {len(inputs)} -> {len(outputs)} terms for {len(reads)} -> {len(writes)} tensors",
            fix="give each tensor a term",
        )
    pairs = [*zip(inputs, reads, strict=True), *zip(outputs, writes, strict=True)]
    rank = max((len(v.type.shape) - len(t) + 1 for t, v in pairs if v is not None and "..." in t), default=0)
    dims = dict(sizes or {})
    accesses: list[list[IndexingMap]] = [[], []]
    written: set[str] = set()
    for position, (term, value) in enumerate(pairs):
        is_write = position >= len(inputs)
        if value is None:
            indexed = tuple(map(_index_of, (token for token in term if token != "...")))
        else:
            indexed = _index(equation, term, value, rank, dims)
            accesses[is_write].append(IndexingMap(value.name, value.type, indexed))
        if is_write:
            written.update(dim for index in indexed for dim, _ in index.terms)
    for term, value in zip(outputs, writes, strict=True):
        if value is not None and value.name.startswith("result"):
            _require_whole(equation, term, value, dims)
    # A tensor of extent 1 is broadcast where another one is longer.
    reads_, writes_ = (tuple(_resolve(access, dims) for access in each) for each in accesses)
    reduced = frozenset(dims).difference(written).union(reduction) if outputs else frozenset(reduction)
    return IterationSpace(
        dims,
        reduced,
        reads_,
        writes_,
        real_operations(flops_per_iteration, (value.type.dtype for _, value in pairs if value is not None)),
        combine,
        mean=mean,
        positional=frozenset(positional),
    )


@lru_cache(maxsize=1024)
def parse(equation: str) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Return the terms left and right of the arrow, each a tuple of its tokens.

    Raises:
        IRError: There is not exactly one arrow.
    """
    sides = equation.split("->")
    if len(sides) != 2:
        raise IRError(
            what=f"{equation!r} is not an equation",
            why=f"it has {len(sides) - 1} arrows where it needs 1",
            fix='write it like "m k, k n -> m n"',
        )
    left, right = (tuple(tuple(term.split()) for term in side.split(",")) for side in sides)
    return left, right


def _index(equation: str, term: Term, value: Value, rank: int, dims: dict[str, int]) -> tuple[Index, ...]:
    shape = value.type.shape
    if "..." in term:
        at = term.index("...")
        own = len(shape) - len(term) + 1
        filled = (*term[:at], *(f"d{i}" for i in range(rank - own, rank)), *term[at + 1 :])
    else:
        filled = term
    if len(filled) != len(shape):
        raise _misfit(equation, value, f"the term {' '.join(term)!r} has {len(term)} dims")
    for token, size in zip(filled, shape, strict=True):
        if not token.isidentifier():
            continue
        known = dims.setdefault(token, size)
        if known == 1:
            dims[token] = size
        elif size not in (1, known):
            raise _misfit(equation, value, f"{token} is {known} elsewhere and {size} here")
    return tuple(map(_index_of, filled))


def _require_whole(equation: str, term: Term, value: Value, dims: Mapping[str, int]) -> None:
    """Refuse a result of extent 1 along a dim that is longer: only operands are broadcast."""
    if "..." in term:
        return
    for token, size in zip(term, value.type.shape, strict=True):
        if size == 1 and dims.get(token, 1) > 1:
            raise _misfit(equation, value, f"{token} is {dims[token]} elsewhere and 1 here")


@lru_cache(maxsize=4096)
def _index_of(token: str) -> Index:
    """Return the index of a token; the strides of a row-major product are 0 until its extents are known."""
    if token.isidentifier():
        return Index(((token, 1),))
    if token == "1":
        return Index()
    if token.startswith("?"):
        return Index(gathered=True, by=token[1:])
    if _ROW_MAJOR.fullmatch(token):
        return Index(tuple((dim, 0) for dim in token.split("*")))
    if not _AFFINE.fullmatch(token):
        raise IRError(
            what=f"{token!r} is no index",
            fix="write a dim (m), a product of dims (g*c), an affine index (o*2+k-1), 1, or ?operand",
        )
    terms: list[tuple[str, int]] = []
    offset = 0
    for sign, name, stride, number in _SUMMAND.findall(token):
        if number:
            offset += int(f"{sign}{number}")
        else:
            terms.append((name, int(f"{sign}{stride or 1}")))
    return Index(tuple(terms), offset)


def _resolve(access: IndexingMap, dims: Mapping[str, int]) -> IndexingMap:
    """Fill in strides of row-major products; a tensor of extent 1 is broadcast along longer dims."""
    shape = access.type.shape
    if 1 not in shape and all(not index.terms or index.terms[0][1] for index in access.indices):
        return access
    indices: list[Index] = []
    for size, index in zip(shape, access.indices, strict=True):
        is_product = bool(index.terms) and index.terms[0][1] == 0
        is_dim = len(index.terms) == 1 and index.offset == 0
        if size == 1 and (is_product or is_dim) and prod([dims[dim] for dim in index.dims]) != 1:
            indices.append(Index())
        else:
            indices.append(row_major(index.dims, dims) if is_product else index)
    return IndexingMap(access.value, access.type, tuple(indices))


def row_major(names: Sequence[str], dims: Mapping[str, int]) -> Index:
    """Return the index of dims that make up a tensor dim together, outermost first."""
    return Index(tuple((dim, prod([dims[each] for each in names[at + 1 :]])) for at, dim in enumerate(names)))


def _misfit(equation: str, value: Value, why: str) -> IRError:
    return IRError(
        what=f"the equation {equation!r} does not fit {value.name}",
        why=f"{why}; its shape is {list(value.type.shape)}",
        fix="correct the equation or the call",
    )
