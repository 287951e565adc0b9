"""Works as text and back: named terms of an equation for each iteration space."""

from typing import cast, get_args

from steelyard.compiler.dialects.cost_spaces import SpaceText, WorkText
from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import (
    Combiner,
    Flops,
    Index,
    IndexingMap,
    IterationSpace,
)
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_work import WorkKind


def work_text(work: OpWork) -> WorkText:
    """Return the text of a work: its kind, its indexing maps and its operations."""
    return WorkText(kind=work.kind, spaces=tuple(map(_space_text, work.spaces)))


def work_from_text(text: WorkText, call: OpCall) -> OpWork:
    """Return the work of a call by its text; extents are those of the call's tensors.

    Raises:
        IRError: The text does not fit the call, or names no kind of kernel, combiner or tensor.
    """
    if text.kind not in get_args(WorkKind):
        raise _error(
            call, f"{text.kind!r} is no kind of kernel", f"use one of {', '.join(get_args(WorkKind))}"
        )
    values = {value.name: value for value in (*call.tensors, *call.outputs)}
    spaces = tuple(_space(each, call, values) for each in text.spaces)
    return OpWork(cast(WorkKind, text.kind), spaces)


def _space(text: SpaceText, call: OpCall, values: dict[str, Value]) -> IterationSpace:
    if text.combine not in get_args(Combiner):
        raise _error(call, f"{text.combine!r} is no combiner", f"use one of {', '.join(get_args(Combiner))}")
    if text.equation.count("->") != 1:
        raise _error(
            call, f"{text.equation!r} has not one arrow", 'write "self: m k, mat2: k n -> result0: m n"'
        )
    sides: list[str] = []
    tensors: list[list[Value]] = []
    for side in text.equation.split("->"):
        terms = [term.partition(":") for term in side.split(",") if term.strip()]
        names = [name.strip() for name, _, _ in terms]
        if unknown := [name for name in names if name not in values]:
            raise _error(call, f"it has no tensor {unknown[0]!r}", f"its tensors are {', '.join(values)}")
        sides.append(", ".join(term for _, _, term in terms))
        tensors.append([values[name] for name in names])
    return iteration_space(
        " -> ".join(sides),
        tensors[0],
        tensors[1],
        Flops(*text.flops),
        sizes=dict(text.sizes),
        reduction=text.reduction,
        combine=cast(Combiner, text.combine),
        positional=text.positional,
    )


def _space_text(space: IterationSpace) -> SpaceText:
    sides = (", ".join(_term(space, access) for access in each) for each in (space.reads, space.writes))
    shown = {
        index.dims[0]
        for access in (*space.reads, *space.writes)
        for size, index in zip(access.type.shape, access.indices, strict=True)
        if _token(space, index, size).isidentifier()
    }
    return SpaceText(
        equation=" -> ".join(sides),
        flops=(
            space.flops_per_iteration.contraction,
            space.flops_per_iteration.pointwise,
            space.flops_per_iteration.transcendental,
        ),
        sizes=tuple((dim, extent) for dim, extent in space.dims.items() if dim not in shown),
        reduction=tuple(dim for dim in space.dims if dim in space.reduction),
        positional=tuple(dim for dim in space.dims if dim in space.positional),
        combine=space.combine,
    )


def _term(space: IterationSpace, access: IndexingMap) -> str:
    tokens = (
        _token(space, index, size) for size, index in zip(access.type.shape, access.indices, strict=True)
    )
    return f"{access.value}: {' '.join(tokens)}".strip()


def _token(space: IterationSpace, index: Index, size: int) -> str:
    """The token of `steelyard.compiler.semantics.equation` for an index."""
    if index.gathered:
        return f"?{index.by}"
    if not index.terms:
        return f"+{index.offset}" if index.offset else "1"
    if len(index.terms) > 1 and not index.offset and space.is_row_major(index) and index.terms[-1][1] == 1:
        return "*".join(index.dims)
    terms = "+".join(dim if stride == 1 else f"{dim}*{stride}" for dim, stride in index.terms)
    # A dim that goes over a part of the tensor does not have the tensor's extent.
    is_part = len(index.terms) == 1 and space.dims[index.dims[0]] != size
    return terms + (f"{index.offset:+}" if index.offset or is_part else "")


def _error(call: OpCall, why: str, fix: str) -> IRError:
    return IRError(what=f"the cost.spaces of {call.name} cannot be read", why=why, fix=fix)
