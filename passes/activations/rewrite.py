"""A choice put into the program."""

from xdsl.ir import Operation, SSAValue

from steelyard.compiler.dialects.program import DropOp
from steelyard.passes.activations.graph import ActivationGraph
from steelyard.passes.activations.rerun import run_again
from steelyard.passes.activations.schedule import Choice, Schedule


def rewrite(graph: ActivationGraph, choice: Choice, schedule: Schedule) -> None:
    """Put the ops that run again into the backward, and let go of what does not stay.

    References that the program held to a storage past its last use in the forward end there: what lives
    longer is kept by the choice or made again.
    """
    released = frozenset(graph.activations) - choice.kept
    for index, op in enumerate(graph.ops):
        if isinstance(op, DropOp) and graph.ended[index] in released:
            op.detach()
            op.erase()
    made_again: dict[SSAValue, SSAValue] = {}
    for index, op in enumerate(graph.ops[graph.turn :], graph.turn):
        for each in schedule.again.get(index, ()):
            copy = _insert(graph.ops[each], made_again, before=op)
            results = zip(graph.ops[each].results, copy.results, strict=True)
            made_again |= {old: new for old, new in results if graph.storage_of[old] not in choice.kept}
        if op.parent is None:
            continue
        for number, value in enumerate(op.operands):
            if value in made_again:
                op.operands[number] = made_again[value]


def _insert(op: Operation, made_again: dict[SSAValue, SSAValue], before: Operation) -> Operation:
    copy = run_again(op, {value: made_again[value] for value in op.operands if value in made_again})
    block = before.parent
    assert block is not None, "what reads in the backward is no reference that ended"
    block.insert_op_before(copy, before)
    return copy
