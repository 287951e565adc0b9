"""What to ask the models of kernels about an op, read from its work."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_queries import KernelBatch, KernelKind

_FORWARD_PRODUCTS = 2
"""Scores and mixed values; the gradient of attention has five."""


@dataclass(frozen=True, slots=True)
class KernelQuery:
    """One kernel by its kind and its dims.

    Dims are those of `steelyard.hw.kernels.common.kernel_queries.DIMS`.
    `backward` is of attention alone: its gradient is one kernel too.
    """

    kind: KernelKind
    dims: tuple[tuple[str, int | str], ...]
    backward: bool = False

    def rows(self, dtype: DType) -> KernelBatch:
        """The question as one row for the models."""
        return KernelBatch(self.kind, dtype, {name: np.array([size]) for name, size in self.dims})


def kernel_queries(call: OpCall, work: OpWork) -> tuple[KernelQuery, ...]:
    """Return the kernels that do the work of a call: none where no model of kernels knows its kind.

    A convolution's gradient is one kernel for the input and one for the weight. What a product adds to its
    result is part of it.
    """
    match work.kind:
        case "contraction":
            return tuple(
                _product(space) for space in work.spaces if space.flops_per_iteration.contraction_flops
            )
        case "convolution" | "depthwise_convolution":
            return tuple(
                _convolution(call, space)
                for space in work.spaces
                if space.flops_per_iteration.contraction_flops
            )
        case "attention":
            return _attention(call, work)
        case "softmax" if len(work.spaces[0].reads) == 1:
            return (_rows("softmax", work.spaces[0]),)
        case "normalization" if _is_layer_norm(work.spaces[0]):
            return (_rows("layer_norm", work.spaces[0]),)
        case _:
            return ()


def _query(kind: KernelKind, **dims: int | str) -> KernelQuery:
    return KernelQuery(kind, tuple(dims.items()))


def _product(space: IterationSpace) -> KernelQuery:
    """A product over dims that both factors have (b), that one has (m, n), and that are summed (k).

    Where the data say which matrix a row meets (a mixture of experts), rows are taken as shared out evenly.
    """
    left, right = (_dims(access) for access in space.reads[:2])
    written = _dims(space.writes[0])
    batch = left & right & written
    groups = _gathered(space.reads[1])
    sizes = {
        "b": _extent(space, batch) * groups,
        "m": max(1, _extent(space, (left & written) - batch) // groups),
        "n": _extent(space, (right & written) - batch),
        "k": _extent(space, set(space.dims) - written),
    }
    return _query("bmm" if sizes["b"] > 1 else "gemm", **sizes)


def _convolution(call: OpCall, space: IterationSpace) -> KernelQuery:
    """The direction is told by which tensor is written: the output, the input or the weight.

    Where windows slide over other than two dims, the product that it amounts to.
    """
    accesses = (*space.reads, *space.writes)
    large = next(access for access in accesses if ("g", "c") in access.dims)
    weight = next(access for access in accesses if ("k0",) in access.dims)
    rank = sum(dim.startswith("k") for dim in space.dims)
    places = prod(size for dim, size in space.dims.items() if dim.startswith("o")) * space.dims.get("n", 1)
    taps = [space.dims[f"k{i}"] for i in range(rank)]
    groups, outer, inner = (space.dims[dim] for dim in "gac")
    written = space.writes[0].value
    if rank != 2:
        kind: KernelKind = "bmm" if groups > 1 else "gemm"
        window = inner * prod(taps)
        if written == weight.value:
            return _query(kind, b=groups, m=outer, n=window, k=places)
        return _query(kind, b=groups, m=places, n=outer, k=window)
    return _query(
        "conv2d",
        n=space.dims.get("n", 1),
        c=groups * inner,
        h=large.type.shape[-2],
        w=large.type.shape[-1],
        o=groups * outer,
        r=taps[0],
        s=taps[1],
        stride=_first(call.properties["stride"]),
        pad=_first(call.properties["padding"]),
        groups=groups,
        direction="dgrad" if written == large.value else "wgrad" if written == weight.value else "fwd",
    )


def _attention(call: OpCall, work: OpWork) -> tuple[KernelQuery, ...]:
    sizes = work.spaces[0].dims
    kind: KernelKind = "attention_decode" if sizes["q"] == 1 else "attention_prefill"
    query = _query(
        kind,
        b=prod(size for dim, size in sizes.items() if dim.startswith("b")),
        hq=sizes["k"] * sizes["g"],
        hkv=sizes["k"],
        sq=sizes["q"],
        skv=sizes["s"],
        d=sizes["e"],
        causal=int(bool(call.properties.get("is_causal"))),
    )
    products = sum(bool(space.flops_per_iteration.contraction_flops) for space in work.spaces)
    return (replace(query, backward=products > _FORWARD_PRODUCTS),)


def _is_layer_norm(space: IterationSpace) -> bool:
    """Whether each row is normalized by itself, and forward: one tensor read is as large as the result."""
    if not space.writes or space.combine != "other":
        return False
    whole = [access for access in space.reads if access.type.numel == space.writes[0].type.numel]
    last = space.writes[0].dims[-1]
    return len(whole) == 1 and bool(last) and set(last) <= space.reduction


def _rows(kind: KernelKind, space: IterationSpace) -> KernelQuery:
    cols = _extent(space, space.reduction)
    return _query(kind, rows=space.size // cols, cols=cols)


def _dims(access: IndexingMap) -> set[str]:
    return {dim for dims in access.dims for dim in dims or ()}


def _gathered(access: IndexingMap) -> int:
    """How many matrices the data choose from."""
    return prod(size for size, dims in zip(access.type.shape, access.dims, strict=True) if dims is None)


def _extent(space: IterationSpace, dims: frozenset[str] | set[str]) -> int:
    return prod(space.dims[dim] for dim in dims)


def _first(value: list[int] | int) -> int:
    return value[0] if isinstance(value, list) else value
