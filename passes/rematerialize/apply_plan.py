"""A choice put into the program."""

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.dialects.host import FetchOp, OffloadOp
from steelyard.compiler.dialects.program import OP_PATH, PHASE, DropOp
from steelyard.passes.rematerialize.activation_graph import ActivationGraph
from steelyard.passes.rematerialize.evaluate_plan import Choice, Schedule
from steelyard.passes.rematerialize.offload_timetable import Move, by_return
from steelyard.passes.rematerialize.recomputable import run_again


def rewrite(graph: ActivationGraph, choice: Choice, schedule: Schedule) -> None:
    """Put copies and the ops that run again into the program, and let go of what does not stay.

    References that the program held to a storage past its last use in the forward end there: what lives
    longer is kept by the choice, made again, or comes back.
    """
    released = frozenset(graph.activations) - choice.kept
    for index, op in enumerate(graph.ops):
        if isinstance(op, DropOp) and graph.ended[index] in released:
            op.detach()
            op.erase()
    # Each goes right after its op, so the last comes first.
    fetches = {move.storage: _move(graph, move) for move in reversed(schedule.moves)}
    returns = by_return(schedule.moves)
    found: dict[SSAValue, SSAValue] = {}
    for index, op in enumerate(graph.ops[graph.turn :], graph.turn):
        for value, fetch in (fetches[move.storage] for move in returns.get(index, ())):
            _insert(fetch, before=op)
            found[value] = fetch.value
        for each in schedule.again.get(index, ()):
            original = graph.ops[each]
            copy = run_again(original, {value: found[value] for value in original.operands if value in found})
            _insert(copy, before=op)
            results = zip(original.results, copy.results, strict=True)
            found |= {old: new for old, new in results if graph.storage_of[old] not in choice.kept}
        if op.parent is None:
            continue
        for number, value in enumerate(op.operands):
            if value in found:
                op.operands[number] = found[value]


def _move(graph: ActivationGraph, move: Move) -> tuple[SSAValue, FetchOp]:
    """Put the copy out where it starts, and the end of the reference where it is done; make the copy back."""
    maker, last = graph.ops[graph.storages[move.storage].born], graph.ops[move.gone]
    value = next(each for each in maker.results if graph.storage_of[each] == move.storage)
    offload, drop = OffloadOp(value), DropOp(value)
    fetch = FetchOp(offload.copy)
    offload.copy.name_hint = fetch.value.name_hint = value.name_hint
    for op, phase in ((offload, "forward"), (drop, "forward"), (fetch, "backward")):
        op.attributes[PHASE] = StringAttr(phase)
        op.attributes |= {name: maker.attributes[name] for name in (OP_PATH,) if name in maker.attributes}
    block = last.parent
    assert block is not None, "an op that runs is not erased"
    block.insert_op_after(drop, last)
    block.insert_op_after(offload, graph.ops[move.leaves])
    return value, fetch


def _insert(op: Operation, before: Operation) -> None:
    block = before.parent
    assert block is not None, "what reads in the backward is no reference that ended"
    block.insert_op_before(op, before)
