"""What to ask the models of kernels about an op, read from its work."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.nest import Access, Nest
from steelyard.compiler.semantics.work import Work
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_queries import KernelKind, Queries

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

    def rows(self, dtype: DType) -> Queries:
        """The question as one row for the models."""
        return Queries(self.kind, dtype, {name: np.array([size]) for name, size in self.dims})


def kernel_queries(call: OpCall, work: Work) -> tuple[KernelQuery, ...]:
    """Return the kernels that do the work of a call: none where no model of kernels knows its kind.

    A convolution's gradient is one kernel for the input and one for the weight. What a product adds to its
    result is part of it.
    """
    match work.kind:
        case "contraction":
            return tuple(_product(nest) for nest in work.nests if nest.per_point.contraction)
        case "convolution" | "depthwise_convolution":
            return tuple(_convolution(call, nest) for nest in work.nests if nest.per_point.contraction)
        case "attention":
            return _attention(call, work)
        case "softmax" if len(work.nests[0].reads) == 1:
            return (_rows("softmax", work.nests[0]),)
        case "normalization" if _is_layer_norm(work.nests[0]):
            return (_rows("layer_norm", work.nests[0]),)
        case _:
            return ()


def _query(kind: KernelKind, **dims: int | str) -> KernelQuery:
    return KernelQuery(kind, tuple(dims.items()))


def _product(nest: Nest) -> KernelQuery:
    """A product over dims that both factors have (b), that one has (m, n), and that are summed (k).

    Where the data say which matrix a row meets (a mixture of experts), rows are taken as shared out evenly.
    """
    left, right = (_dims(access) for access in nest.reads[:2])
    written = _dims(nest.writes[0])
    batch = left & right & written
    groups = _gathered(nest.reads[1])
    sizes = {
        "b": _extent(nest, batch) * groups,
        "m": max(1, _extent(nest, (left & written) - batch) // groups),
        "n": _extent(nest, (right & written) - batch),
        "k": _extent(nest, set(nest.dims) - written),
    }
    return _query("bmm" if sizes["b"] > 1 else "gemm", **sizes)


def _convolution(call: OpCall, nest: Nest) -> KernelQuery:
    """The direction is told by which tensor is written: the output, the input or the weight.

    Where windows slide over other than two dims, the product that it amounts to.
    """
    accesses = (*nest.reads, *nest.writes)
    large = next(access for access in accesses if ("g", "c") in access.dims)
    weight = next(access for access in accesses if ("k0",) in access.dims)
    rank = sum(dim.startswith("k") for dim in nest.dims)
    places = prod(size for dim, size in nest.dims.items() if dim.startswith("o")) * nest.dims.get("n", 1)
    taps = [nest.dims[f"k{i}"] for i in range(rank)]
    groups, outer, inner = (nest.dims[dim] for dim in "gac")
    written = nest.writes[0].value
    if rank != 2:
        kind: KernelKind = "bmm" if groups > 1 else "gemm"
        window = inner * prod(taps)
        if written == weight.value:
            return _query(kind, b=groups, m=outer, n=window, k=places)
        return _query(kind, b=groups, m=places, n=outer, k=window)
    return _query(
        "conv2d",
        n=nest.dims.get("n", 1),
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


def _attention(call: OpCall, work: Work) -> tuple[KernelQuery, ...]:
    sizes = work.nests[0].dims
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
    products = sum(bool(nest.per_point.contraction) for nest in work.nests)
    return (replace(query, backward=products > _FORWARD_PRODUCTS),)


def _is_layer_norm(nest: Nest) -> bool:
    """Whether each row is normalized by itself, and forward: one tensor read is as large as the result."""
    if not nest.writes or nest.combine != "other":
        return False
    whole = [access for access in nest.reads if access.type.numel == nest.writes[0].type.numel]
    last = nest.writes[0].dims[-1]
    return len(whole) == 1 and bool(last) and set(last) <= nest.reduction


def _rows(kind: KernelKind, nest: Nest) -> KernelQuery:
    cols = _extent(nest, nest.reduction)
    return _query(kind, rows=nest.points // cols, cols=cols)


def _dims(access: Access) -> set[str]:
    return {dim for dims in access.dims for dim in dims or ()}


def _gathered(access: Access) -> int:
    """How many matrices the data choose from."""
    return prod(size for size, dims in zip(access.type.shape, access.dims, strict=True) if dims is None)


def _extent(nest: Nest, dims: frozenset[str] | set[str]) -> int:
    return prod(nest.dims[dim] for dim in dims)


def _first(value: list[int] | int) -> int:
    return value[0] if isinstance(value, list) else value
