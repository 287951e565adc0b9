"""Queries of kernel models, by the structure of the indexing maps of an op's work."""

from dataclasses import dataclass, replace
from itertools import permutations
from math import prod

import numpy as np

from steelyard.compiler.semantics.iteration_space import Index, IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_queries import KernelBatch

_FORWARD_PRODUCTS = 2
"""Scores and mixed values; the gradient of attention has five."""


@dataclass(frozen=True, slots=True)
class KernelQuery:
    """One kernel by its kind and its dims.

    Dims are those of the kind in `steelyard.hw.kernels.kinds`.
    `backward` is of attention alone: its gradient is one kernel too.
    """

    kind: str
    dims: tuple[tuple[str, int | str], ...]
    backward: bool = False

    def rows(self, dtype: DType) -> KernelBatch:
        """The question as one row for the models."""
        return KernelBatch(self.kind, dtype, {name: np.array([size]) for name, size in self.dims})


def kernel_queries(work: OpWork) -> tuple[KernelQuery, ...]:
    """Return the kernels that do the work of an op: none where no model of kernels knows its kind.

    A convolution's gradient is one kernel for the input and one for the weight. What a product adds to its
    result is part of it.
    """
    match work.kind:
        case "contraction":
            products = [space for space in work.spaces if space.flops_per_iteration.contraction]
            # Steps of a fused kernel keep their operands on chip.
            return tuple(map(_product, products)) if all(each.reads for each in products) else ()
        case "convolution" | "depthwise_convolution":
            return tuple(
                _convolution(space) for space in work.spaces if space.flops_per_iteration.contraction
            )
        case "attention":
            return _attention(work)
        case "softmax" if len(work.spaces[0].reads) == 1:
            return (_rows("softmax", work.spaces[0]),)
        case "normalization" if _is_layer_norm(work.spaces[0]):
            return (_rows("layer_norm", work.spaces[0]),)
        case _:
            return ()


def _query(kind: str, **dims: int | str) -> KernelQuery:
    return KernelQuery(kind, tuple(dims.items()))


def _product(space: IterationSpace) -> KernelQuery:
    """A product over dims that both factors have (b), that one has (m, n), and that are summed (k).

    Where the data say which matrix a row meets (a mixture of experts), rows are taken as shared out evenly.
    """
    left, right = (access.dims for access in space.reads[:2])
    written = space.writes[0].dims
    batch = left & right & written
    groups = _gathered(space.reads[1])
    sizes = {
        "b": _extent(space, batch) * groups,
        "m": max(1, _extent(space, (left & written) - batch) // groups),
        "n": _extent(space, (right & written) - batch),
        "k": _extent(space, set(space.dims) - written),
    }
    return _query("bmm" if sizes["b"] > 1 else "gemm", **sizes)


def _convolution(space: IterationSpace) -> KernelQuery:
    """The direction is told by which tensor is written: the output, the input or the weight.

    Where windows slide over other than two dims, the product that it amounts to.
    """
    large, small, weight = sliding_tensors(space)
    windows = [at for at, index in enumerate(large.indices) if _slides(index, small, weight)]
    places, taps = zip(*(large.indices[at].dims for at in windows), strict=True)
    shared = large.dims & small.dims & weight.dims
    batch = _extent(space, (large.dims & small.dims) - shared - {*places})
    inner = _extent(space, (large.dims & weight.dims) - shared - {*taps})
    outer, groups = _extent(space, (small.dims & weight.dims) - shared), _extent(space, shared)
    written = space.writes[0]
    if len(windows) != 2:
        kind: str = "bmm" if groups > 1 else "gemm"
        points, window = batch * _extent(space, {*places}), inner * _extent(space, {*taps})
        if written is weight:
            return _query(kind, b=groups, m=outer, n=window, k=points)
        return _query(kind, b=groups, m=points, n=outer, k=window)
    first = large.indices[windows[0]]
    return _query(
        "conv2d",
        n=batch,
        c=groups * inner,
        h=large.type.shape[windows[0]],
        w=large.type.shape[windows[1]],
        o=groups * outer,
        r=space.dims[taps[0]],
        s=space.dims[taps[1]],
        stride=first.terms[0][1],
        pad=-first.offset,
        groups=groups,
        direction="dgrad" if written is large else "wgrad" if written is weight else "fwd",
    )


def sliding_tensors(space: IterationSpace) -> tuple[IndexingMap, IndexingMap, IndexingMap]:
    """The tensor over which windows slide, that which has an element a window, and the weight."""
    for large, small, weight in permutations((*space.reads, *space.writes)):
        if any(_slides(index, small, weight) for index in large.indices):
            return large, small, weight
    raise IRError(
        what="no window slides over a tensor of the convolution", fix="correct the rule of its work"
    )


def _slides(index: Index, small: IndexingMap, weight: IndexingMap) -> bool:
    """Whether an index is that of a window: its dims index the others alone."""
    if len(index.terms) != 2:
        return False
    (place, _), (tap, _) = index.terms
    return _has(small, place) and _has(weight, tap)


def _has(access: IndexingMap, dim: str) -> bool:
    return any(index.dims == (dim,) for index in access.indices)


def _attention(work: OpWork) -> tuple[KernelQuery, ...]:
    """The first space makes the scores: query (batch, heads, q, e) by key (batch, heads, s, e)."""
    scores = work.spaces[0]
    *batch, heads, queries, features = ((scores, index) for index in scores.reads[0].indices)
    *_, shared, keys, _ = ((scores, index) for index in scores.reads[1].indices)
    kind: str = "attention_decode" if _points(*queries) == 1 else "attention_prefill"
    query = _query(
        kind,
        b=prod(_points(*each) for each in batch),
        hq=_points(*heads),
        hkv=_points(*shared),
        sq=_points(*queries),
        skv=_points(*keys),
        d=_points(*features),
        causal=int(any(space.positional for space in work.spaces)),
    )
    products = sum(bool(space.flops_per_iteration.contraction) for space in work.spaces)
    return (replace(query, backward=products > _FORWARD_PRODUCTS),)


def _points(space: IterationSpace, index: Index) -> int:
    return _extent(space, {*index.dims})


def _is_layer_norm(space: IterationSpace) -> bool:
    """Whether each row is normalized by itself, and forward: one tensor read is as large as the result."""
    if not space.writes:
        return False
    whole = [access for access in space.reads if access.type.numel == space.writes[0].type.numel]
    last = set(space.writes[0].indices[-1].dims)
    return len(whole) == 1 and bool(last) and last <= space.reduction


def _rows(kind: str, space: IterationSpace) -> KernelQuery:
    cols = _extent(space, space.reduction)
    return _query(kind, rows=space.size // cols, cols=cols)


def _gathered(access: IndexingMap) -> int:
    """Number of matrices that the data choose from."""
    return prod(size for size, index in zip(access.type.shape, access.indices, strict=True) if index.gathered)


def _extent(space: IterationSpace, dims: frozenset[str] | set[str]) -> int:
    return prod(space.dims[dim] for dim in dims)
