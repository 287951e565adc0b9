"""Nests from equations: "m k, k n -> m n" over the tensors of a call.

Terms are separated by commas, the dims of a term by spaces:

- `m`: a dim; its extent is that of the tensors, which may be 1 to be broadcast;
- `...`: any further dims, aligned at the right and broadcast as in torch;
- `k*g`, `oh+kh`: dims that make up a tensor dim together, or slide over it; their extents are given;
- `1`: the tensor is not indexed along this dim;
- `?`: the data decide (a gather or a scatter).
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod

from steelyard.compiler.semantics.call import Value
from steelyard.compiler.semantics.iteration_space import Combiner, IndexingMap, IterationSpace
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_cost import KernelCost

Term = tuple[str, ...]


def iteration_space(
    equation: str,
    reads: Sequence[Value | None],
    writes: Sequence[Value | None],
    flops_per_iteration: KernelCost[int] = KernelCost(),  # noqa: B008 - frozen
    *,
    sizes: Mapping[str, int] | None = None,
    reduction: Sequence[str] = (),
    combine: Combiner = "sum",
) -> IterationSpace:
    """Return the nest of an equation.

    Args:
        equation: Terms for `reads`, an arrow, terms for `writes`.
        reads: The tensors read; None for one that is held on chip, whose term only names dims.
        writes: The tensors written; None as above.
        flops_per_iteration: The operations at each point.
        sizes: The extents of dims that no tensor dim shows alone.
        reduction: Dims to reduce over although the result has them, such as the dim of a softmax. Those that
            are read and not written are reduced in any case.
        combine: How points come together along the reduction dims.

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
            indexed = tuple(_names(token) for token in term)
        else:
            indexed = _index(equation, term, value, rank, dims)
            accesses[is_write].append(IndexingMap(value.name, value.type, indexed))
        if is_write:
            written.update(dim for each in indexed for dim in each or ())
    # A tensor of extent 1 is broadcast where another one is longer.
    reads_, writes_ = (tuple(_broadcast(access, dims) for access in each) for each in accesses)
    reduced = frozenset(dims).difference(written).union(reduction) if outputs else frozenset(reduction)
    return IterationSpace(dims, reduced, reads_, writes_, flops_per_iteration, combine)


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


def _index(
    equation: str, term: Term, value: Value, rank: int, dims: dict[str, int]
) -> tuple[tuple[str, ...] | None, ...]:
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
    return tuple(map(_names, filled))


@lru_cache(maxsize=1024)
def _names(token: str) -> tuple[str, ...] | None:
    if token == "?":
        return None
    return () if token == "1" else tuple(re.split(r"[*+]", token))


def _broadcast(access: IndexingMap, dims: Mapping[str, int]) -> IndexingMap:
    shape = access.type.shape
    if 1 not in shape:
        return access
    kept = tuple(
        () if size == 1 and each and prod(dims[dim] for dim in each) != 1 else each
        for size, each in zip(shape, access.dims, strict=True)
    )
    return IndexingMap(access.value, access.type, kept)


def _misfit(equation: str, value: Value, why: str) -> IRError:
    return IRError(
        what=f"the equation {equation!r} does not fit {value.name}",
        why=f"{why}; its shape is {list(value.type.shape)}",
        fix="correct the equation or the call",
    )
