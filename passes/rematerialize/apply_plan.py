"""Rewriting of a program by a remat policy."""

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.dialects.host import FetchOp, OffloadOp
from steelyard.compiler.dialects.program import OP_PATH, PHASE, DropOp
from steelyard.passes.rematerialize.activation_graph import ActivationGraph
from steelyard.passes.rematerialize.evaluate_plan import RematPolicy, RematSchedule
from steelyard.passes.rematerialize.offload_timetable import Transfer, by_fetch
from steelyard.passes.rematerialize.recomputable import recompute_op


def rewrite(graph: ActivationGraph, policy: RematPolicy, schedule: RematSchedule) -> None:
    """Insert recomputed ops and host copies, and release activations that are not saved.

    References that held a storage past its last use in the forward end there: an activation is saved by the
    policy, recomputed, or fetched.
    """
    released = frozenset(graph.activations) - policy.saved
    for index, op in enumerate(graph.ops):
        if isinstance(op, DropOp) and graph.ended[index] in released:
            op.detach()
            op.erase()
    # Each is inserted right after its op, so the last comes first.
    fetches = {transfer.storage: _transfer(graph, transfer) for transfer in reversed(schedule.transfers)}
    returns = by_fetch(schedule.transfers)
    found: dict[SSAValue, SSAValue] = {}
    for index, op in enumerate(graph.ops[graph.first_backward_op :], graph.first_backward_op):
        for value, fetch in (fetches[transfer.storage] for transfer in returns.get(index, ())):
            _insert(fetch, before=op)
            found[value] = fetch.value
        for each in schedule.recomputed.get(index, ()):
            original = graph.ops[each]
            copy = recompute_op(
                original, {value: found[value] for value in original.operands if value in found}
            )
            _insert(copy, before=op)
            results = zip(original.results, copy.results, strict=True)
            found |= {old: new for old, new in results if graph.storage_of[old] not in policy.saved}
        if op.parent is None:
            continue
        for number, value in enumerate(op.operands):
            if value in found:
                op.operands[number] = found[value]


def _transfer(graph: ActivationGraph, transfer: Transfer) -> tuple[SSAValue, FetchOp]:
    """Insert the offload of a storage and its drop; return the value and its fetch, to be inserted later."""
    maker, last = graph.ops[graph.storages[transfer.storage].born], graph.ops[transfer.free_after]
    value = next(each for each in maker.results if graph.storage_of[each] == transfer.storage)
    offload, drop = OffloadOp(value), DropOp(value)
    fetch = FetchOp(offload.copy)
    offload.copy.name_hint = fetch.value.name_hint = value.name_hint
    for op, phase in ((offload, "forward"), (drop, "forward"), (fetch, "backward")):
        op.attributes[PHASE] = StringAttr(phase)
        op.attributes |= {name: maker.attributes[name] for name in (OP_PATH,) if name in maker.attributes}
    block = last.parent
    assert block is not None, "an op that runs is not erased"
    block.insert_op_after(drop, last)
    block.insert_op_after(offload, graph.ops[transfer.offload_after])
    return value, fetch


def _insert(op: Operation, before: Operation) -> None:
    block = before.parent
    assert block is not None, "what reads in the backward is no reference that ended"
    block.insert_op_before(op, before)
