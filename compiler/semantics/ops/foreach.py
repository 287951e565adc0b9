"""Ops over lists of tensors: each does to every tensor what its single form does to one."""

from dataclasses import replace

from steelyard.compiler.semantics.call import OpCall, Operand
from steelyard.compiler.semantics.iteration_space import IndexingMap, IterationSpace
from steelyard.compiler.semantics.registry import register, work_of
from steelyard.compiler.semantics.work import OpWork

_SINGLE = (
    "abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min copy cos cosh div erf erfc exp"
    " expm1 floor frac lerp lgamma log log10 log1p log2 max maximum minimum mul neg norm pow"
    " reciprocal round rsqrt sigmoid sign sin sinh sqrt sub tan tanh trunc zero"
)


def _element(operand: Operand, index: int) -> Operand:
    return operand[index] if isinstance(operand, tuple) else operand


def _rename(access: IndexingMap, index: int, in_place: bool, lists: set[str], prefix: str) -> IndexingMap:
    name = access.value
    if name == "result0":
        name = f"self[{index}]" if in_place else f"result{index}"
    elif name in lists:
        name = f"{name}[{index}]"
    indices = tuple(
        each._replace(terms=tuple((prefix + dim, stride) for dim, stride in each.terms))
        for each in access.indices
    )
    return IndexingMap(name, access.type, indices)


def _declare(single: str) -> None:
    def rule(call: OpCall) -> OpWork | None:
        lists = {name for name, operand in call.operands if isinstance(operand, tuple)}
        tensors = call.list("self")
        spaces: list[IterationSpace] = []
        kind = None
        for index, (_, type_) in enumerate(tensors):
            operands = tuple((name, _element(operand, index)) for name, operand in call.operands)
            result = type_ if call.in_place else call.results[index]
            one = work_of(OpCall(f"aten.{single}", operands, call.properties, (result,)))
            if one is None:
                return None
            kind = one.kind
            prefix = f"t{index}_"
            for each in one.spaces:
                reads, writes, shapes = (
                    tuple(_rename(access, index, call.in_place, lists, prefix) for access in accesses)
                    for accesses in (each.reads, each.writes, each.shapes)
                )
                dims = {prefix + dim: extent for dim, extent in each.dims.items()}
                reduced = frozenset(prefix + dim for dim in each.reduction)
                spaces.append(
                    replace(each, dims=dims, reduction=reduced, reads=reads, writes=writes, shapes=shapes)
                )
        return OpWork(kind or "pointwise", tuple(spaces))

    register(f"aten._foreach_{single}", rule)


for _name in _SINGLE.split():
    _declare(_name)
