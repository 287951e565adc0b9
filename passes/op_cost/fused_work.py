"""The work of ops that one kernel does together: the composition of theirs."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache, to_call
from steelyard.compiler.dialects.cost import WorkCounts
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.semantics.compose import FusionError, compose
from steelyard.compiler.semantics.iteration_space import IndexingMap
from steelyard.compiler.semantics.work import OpWork


def fused_work(
    members: Sequence[TorchOp], outputs: Collection[SSAValue], reader: OpInfoCache
) -> WorkCounts | None:
    """Return the counts of one kernel that reads its inputs and writes its outputs, each once.

    Args:
        members: The ops, in order.
        outputs: Those of their results that are written.
        reader: Knows the work of an op.

    Returns:
        The work, None where that of a member is unknown.

    Raises:
        FusionError: The ops cannot be one kernel.
    """
    works = [reader.read(op).work for op in members]
    known = [work for work in works if work is not None]
    if len(known) < len(works) or not known:
        return None
    fused = compose_members(members, outputs, reader)
    # Arithmetic is done in the type of the member that does most; what is on chip shows none.
    dtype = max(known, key=lambda work: work.flops.total).compute_dtype
    cost = replace(fused.cost, bytes_read=fused.bytes_unique - fused.bytes_written)
    return WorkCounts(
        kind=fused.kind, dtype=dtype or "none", bytes_unique=fused.bytes_unique, **cost.counts()
    )


def compose_members(members: Sequence[TorchOp], outputs: Collection[SSAValue], reader: OpInfoCache) -> OpWork:
    """Return the work of ops of known work as one kernel, with tensors named by value.

    Raises:
        FusionError: The ops cannot be one kernel.
    """
    names: dict[SSAValue, str] = {}
    fused: OpWork | None = None
    for op in reversed(members):
        work = _named(op, reader, names)
        if fused is None:
            fused = work
            continue
        read = {access.value for space in fused.spaces for access in space.reads}
        passed = [value for value in op.results if names[value] in read]
        if len(passed) > 1:
            raise FusionError("it passes on several results")
        if not passed:
            fused = replace(fused, spaces=(*work.spaces, *fused.spaces))
            continue
        fused = compose(work, fused, names[passed[0]], kept=passed[0] in outputs)
    assert fused is not None, "there are members"
    hidden = {names[value] for op in members for value in op.results if value not in outputs}
    spaces = (
        replace(space, writes=tuple(each for each in space.writes if each.value not in hidden))
        for space in fused.spaces
    )
    return replace(fused, spaces=tuple(spaces))


def _named(op: TorchOp, reader: OpInfoCache, names: dict[SSAValue, str]) -> OpWork:
    """The work of an op with the names of its values for those of its arguments."""
    work = reader.read(op).work
    assert work is not None, op.name
    values = dict(zip((each.name for each in to_call(op).tensors), op.operands, strict=True))
    values |= {f"result{index}": result for index, result in enumerate(op.results)}
    for value in values.values():
        names.setdefault(value, f"%{len(names)}")

    def rename(access: IndexingMap) -> IndexingMap:
        value = values.get(access.value)
        return replace(access, value=names[value]) if value is not None else access

    spaces = (
        replace(
            space, reads=tuple(map(rename, space.reads)), writes=tuple(map(rename, space.writes)), shapes=()
        )
        for space in work.spaces
    )
    return replace(work, spaces=tuple(spaces), mutates=())
