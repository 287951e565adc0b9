"""Reductions, scans and sorts along dims of one tensor."""

from dataclasses import replace
from math import ceil, log2

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Combiner, Flops, IterationSpace, Mean
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork

_ONE = Flops(pointwise=1)

# What is done with each element, and whether parts can be combined.
_REDUCTIONS: dict[str, tuple[Flops, Combiner]] = {
    "sum": (_ONE, "sum"),
    "nansum": (Flops(pointwise=2), "sum"),
    "count_nonzero": (Flops(pointwise=2), "sum"),
    "prod": (_ONE, "prod"),
    "amax": (_ONE, "max"),
    "amin": (_ONE, "min"),
    "any": (_ONE, "max"),
    "all": (_ONE, "min"),
    "aminmax": (Flops(pointwise=2), "opaque"),
    "argmax": (_ONE, "argmax"),
    "argmin": (_ONE, "argmax"),
    "var": (Flops(pointwise=4), "welford"),
    "std": (Flops(pointwise=4), "welford"),
    "var_mean": (Flops(pointwise=4), "welford"),
    "std_mean": (Flops(pointwise=4), "welford"),
    "norm": (Flops(pointwise=2), "opaque"),
    "linalg_vector_norm": (Flops(pointwise=2), "opaque"),
    "logsumexp": (Flops(pointwise=3, transcendental=1), "online_softmax"),
    "trace": (_ONE, "opaque"),
}
_SCANS = {
    "cumsum": _ONE,
    "cumprod": _ONE,
    "cummax": _ONE,
    "cummin": _ONE,
    "_cummax_helper": _ONE,
    "logcumsumexp": Flops(pointwise=2, transcendental=2),
}


def reduced_dims(call: OpCall, rank: int) -> set[int]:
    """Return the dims that a call names to be reduced; all if it names none."""
    named = call.properties.get("dim")
    dims = (named,) if isinstance(named, int) else named
    return {dim % rank for dim in dims} if dims and rank else set(range(rank))


def reduction(call: OpCall, flops_per_iteration: Flops, combine: Combiner) -> OpWork:
    """Return the work of reducing the dims that `call` names."""
    source = next(call.tensors)
    rank = len(source.type.shape)
    gone = reduced_dims(call, rank)
    terms: list[str] = []
    for result in call.outputs:
        keeps = len(result.type.shape) == rank
        terms.append(" ".join("1" if i in gone else f"d{i}" for i in range(rank) if keeps or i not in gone))
    equation = " ".join(f"d{i}" for i in range(rank)) + " -> " + ", ".join(terms)
    space = iteration_space(equation, (source,), call.outputs, flops_per_iteration, combine=combine)
    return OpWork("reduction", (space,))


def _mean(call: OpCall) -> OpWork:
    work = reduction(call, _ONE, "sum")
    (space,) = work.spaces
    return replace(work, spaces=(replace(space, mean=Mean(space.reduction)),))


def _extreme(call: OpCall, alone: Combiner) -> OpWork:
    """Max and min: of two tensors, of all elements, or along a dim with the place."""
    if len(call.operands) > 1:
        return OpWork("pointwise", (elementwise(tuple(call.tensors), call.outputs, _ONE),))
    return reduction(call, _ONE, "argmax" if len(call.results) > 1 else alone)


def _along(call: OpCall, default: int = -1) -> int:
    return int(call.properties.get("dim", default))


def _scan(call: OpCall, flops_per_iteration: Flops) -> OpWork:
    source = next(call.tensors)
    names = [f"d{i}" for i in range(len(source.type.shape))]
    term = " ".join(names)
    equation = f"{term} -> {', '.join([term] * len(call.results))}"
    along = (names[_along(call)],) if names else ()
    return OpWork(
        "reduction",
        (
            iteration_space(
                equation, (source,), call.outputs, flops_per_iteration, reduction=along, combine="opaque"
            ),
        ),
    )


@work(
    "aten.sort",
    "aten.argsort",
    "aten.msort",
    "aten.topk",
    "aten.kthvalue",
    "aten.median",
    "aten.nanmedian",
    "aten.mode",
)
def sort(call: OpCall) -> OpWork:
    """A merge sort compares each of n elements about log2(n) times; a selection is counted like a sort."""
    source = next(call.tensors)
    shape = source.type.shape
    names = [f"d{i}" for i in range(len(shape))]
    along = _along(call, 0 if "msort" in call.name else -1) if names else 0
    length = shape[along] if names else 1
    rounds = Flops(pointwise=ceil(log2(length)) if length > 1 else 0)
    order = (names[along],) if names else ()
    take = iteration_space(" ".join(names) + " ->", (source,), (), rounds, reduction=order, combine="opaque")
    puts = [_sorted(result, names, along) for result in call.outputs]
    return OpWork("reduction", (take, *puts))


def _sorted(result: Value, names: list[str], along: int) -> IterationSpace:
    """Values written along the sorted dim; other dims are those of the source."""
    if len(result.type.shape) != len(names) or not names:
        return elementwise((), (result,), Flops(), prefix="sorted")
    own = names.copy()
    own[along] = "sorted"
    return iteration_space(f"-> {' '.join(own)}", (), (result,), reduction=("sorted",), combine="opaque")


@work(
    "aten.histc",
    "aten.bincount",
    "aten.nonzero",
    "aten.masked_select",
    "aten._unique2",
    "aten.unique_dim",
    "aten.unique_consecutive",
)
def collect(call: OpCall) -> OpWork:
    """Every element is looked at once, and the results are as large as the data make them."""
    takes = [elementwise((each,), (), _ONE, prefix=f"{each.name}_") for each in call.tensors]
    puts = [elementwise((), (each,), Flops(), prefix=f"{each.name}_") for each in call.outputs]
    return OpWork("scatter", (*takes, *puts))


@work("aten.searchsorted", "aten.bucketize")
def search(call: OpCall) -> OpWork:
    """A binary search for each element of the result."""
    edges = call.arg("sorted_sequence" if "searchsorted" in call.name else "boundaries")
    rounds = Flops(pointwise=ceil(log2(edges.type.shape[-1] + 1)))
    asked = [each for each in call.tensors if each.name in ("self", "input")]
    look = elementwise(asked, (call.result(),), rounds)
    return OpWork("gather", (look, elementwise((edges,), (), Flops(), prefix="edge")))


def _declare(name: str, flops_per_iteration: Flops, combine: Combiner) -> None:
    register(f"aten.{name}", lambda call: reduction(call, flops_per_iteration, combine))


def _declare_scan(name: str, flops_per_iteration: Flops) -> None:
    register(f"aten.{name}", lambda call: _scan(call, flops_per_iteration))


for _name, _each in _REDUCTIONS.items():
    _declare(_name, *_each)
for _name, _per_point in _SCANS.items():
    _declare_scan(_name, _per_point)
register("aten.mean", _mean)
register("aten.max", lambda call: _extreme(call, "max"))
register("aten.min", lambda call: _extreme(call, "min"))
