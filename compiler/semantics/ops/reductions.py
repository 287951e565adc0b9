"""Reductions, scans and sorts along dims of one tensor."""

from math import ceil, log2

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Combiner
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost

_ONE = KernelCost(pointwise_flops=1)

# What is done with each element, and whether parts can be combined.
_REDUCTIONS: dict[str, tuple[KernelCost[int], Combiner]] = {
    "sum": (_ONE, "sum"),
    "nansum": (KernelCost(pointwise_flops=2), "sum"),
    "mean": (_ONE, "sum"),
    "count_nonzero": (KernelCost(pointwise_flops=2), "sum"),
    "prod": (_ONE, "prod"),
    "amax": (_ONE, "max"),
    "amin": (_ONE, "min"),
    "any": (_ONE, "max"),
    "all": (_ONE, "min"),
    "aminmax": (KernelCost(pointwise_flops=2), "other"),
    "argmax": (_ONE, "other"),
    "argmin": (_ONE, "other"),
    "var": (KernelCost(pointwise_flops=4), "other"),
    "std": (KernelCost(pointwise_flops=4), "other"),
    "var_mean": (KernelCost(pointwise_flops=4), "other"),
    "std_mean": (KernelCost(pointwise_flops=4), "other"),
    "norm": (KernelCost(pointwise_flops=2), "other"),
    "linalg_vector_norm": (KernelCost(pointwise_flops=2), "other"),
    "logsumexp": (KernelCost(pointwise_flops=3, transcendental_flops=1), "other"),
    "trace": (_ONE, "other"),
}
_SCANS = {
    "cumsum": _ONE,
    "cumprod": _ONE,
    "cummax": _ONE,
    "cummin": _ONE,
    "_cummax_helper": _ONE,
    "logcumsumexp": KernelCost(pointwise_flops=2, transcendental_flops=2),
}


def reduced_dims(call: OpCall, rank: int) -> set[int]:
    """Return the dims that a call names to be reduced; all if it names none."""
    named = call.properties.get("dim")
    dims = (named,) if isinstance(named, int) else named
    return {dim % rank for dim in dims} if dims and rank else set(range(rank))


def reduction(call: OpCall, flops_per_iteration: KernelCost[int], combine: Combiner) -> OpWork:
    """Return the work of reducing the dims that `call` names."""
    source = next(call.tensors)
    rank = len(source.type.shape)
    gone = reduced_dims(call, rank)
    terms: list[str] = []
    for result in call.outputs:
        keeps = len(result.type.shape) == rank
        terms.append(" ".join("1" if i in gone else f"d{i}" for i in range(rank) if keeps or i not in gone))
    equation = " ".join(f"d{i}" for i in range(rank)) + " -> " + ", ".join(terms)
    return OpWork(
        "reduction",
        (iteration_space(equation, (source,), call.outputs, flops_per_iteration, combine=combine),),
    )


def _extreme(call: OpCall) -> OpWork:
    """Max and min: of two tensors, of all elements, or along a dim with the place."""
    if len(call.operands) > 1:
        return OpWork("pointwise", (elementwise(tuple(call.tensors), call.outputs, _ONE),))
    alone: Combiner = "max" if ".max" in call.name else "min"
    return reduction(call, _ONE, "other" if len(call.results) > 1 else alone)


def _along(call: OpCall, default: int = -1) -> int:
    return int(call.properties.get("dim", default))


def _scan(call: OpCall, flops_per_iteration: KernelCost[int]) -> OpWork:
    source = next(call.tensors)
    names = [f"d{i}" for i in range(len(source.type.shape))]
    term = " ".join(names)
    equation = f"{term} -> {', '.join([term] * len(call.results))}"
    along = (names[_along(call)],) if names else ()
    return OpWork(
        "reduction",
        (
            iteration_space(
                equation, (source,), call.outputs, flops_per_iteration, reduction=along, combine="other"
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
    rounds = KernelCost(pointwise_flops=ceil(log2(length)) if length > 1 else 0)
    order = (names[along],) if names else ()
    take = iteration_space(" ".join(names) + " ->", (source,), (), rounds, reduction=order, combine="other")
    puts = [elementwise((), (result,), KernelCost(), prefix="sorted") for result in call.outputs]
    return OpWork("reduction", (take, *puts))


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
    puts = [elementwise((), (each,), KernelCost(), prefix=f"{each.name}_") for each in call.outputs]
    return OpWork("scatter", (*takes, *puts))


@work("aten.searchsorted", "aten.bucketize")
def search(call: OpCall) -> OpWork:
    """A binary search for each element of the result."""
    edges = call.arg("sorted_sequence" if "searchsorted" in call.name else "boundaries")
    rounds = KernelCost(pointwise_flops=ceil(log2(edges.type.shape[-1] + 1)))
    asked = [each for each in call.tensors if each.name in ("self", "input")]
    look = elementwise(asked, (call.result(),), rounds)
    return OpWork("gather", (look, elementwise((edges,), (), KernelCost(), prefix="edge")))


def _declare(name: str, flops_per_iteration: KernelCost[int], combine: Combiner) -> None:
    register(f"aten.{name}", lambda call: reduction(call, flops_per_iteration, combine))


def _declare_scan(name: str, flops_per_iteration: KernelCost[int]) -> None:
    register(f"aten.{name}", lambda call: _scan(call, flops_per_iteration))


for _name, _each in _REDUCTIONS.items():
    _declare(_name, *_each)
for _name, _per_point in _SCANS.items():
    _declare_scan(_name, _per_point)
register("aten.max", _extreme)
register("aten.min", _extreme)
