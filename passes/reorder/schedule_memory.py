"""The pass schedule-memory: reorder ops for a lower peak of live bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.analysis.storages import FunctionStorages, find_storages
from steelyard.compiler.dialects.program import DropOp
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.compiler.pass_infra.totals import read_totals, write_totals
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass
from steelyard.passes.op_cost.workspace import no_workspace, workspace_of
from steelyard.passes.reorder.build_memory_graph import MemoryGraphs
from steelyard.passes.reorder.min_cut_order import order_for_memory


@dataclass(frozen=True)
class ScheduleMemoryPass(ModulePass):
    """Reorder the ops of every function for a lower peak of live bytes.

    Reads operands, aliases and in-place writes; where `annotate-memory` was given a device, also `cost.work`,
    for workspace. Data dependences and in-place writes are respected, and random ops and collectives keep
    their order; phases may mix. Each `program.drop` moves to the last use of its storage. What functions free
    for their callers is unchanged. If the peak is no lower, the program is left as it was (missed).

    Writes the ops in their new order, the entry `schedule` of the totals (peak before, peak, and for a
    program without calls a lower bound of any order), `cost.memory` if it was present, and one remark.

        steelyard-opt step.mlir -p annotate-cost,annotate-memory,schedule-memory

    Raises:
        DeviceError: the device of `annotate-memory` is unknown.
        IRError: the module has no entry function, or its types cannot be read.
    """

    name = "schedule-memory"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Reorder the functions of a module."""
        annotation = _annotated_memory(op)
        workspace = (
            workspace_of(load_device(annotation.device), annotation.threads)
            if annotation and annotation.device
            else no_workspace
        )
        graph = call_graph(op)
        before_bytes = liveness(op, workspace).peak_bytes
        original = {function: [*function.body.block.ops] for function in graph.functions.values()}
        bound_bytes = _reorder_all(op, workspace)
        peak_bytes = liveness(op, workspace).peak_bytes
        where = graph.entry.sym_name.data
        if peak_bytes >= before_bytes:
            for function, ops in original.items():
                _arrange(function, ops)
            peak_bytes = before_bytes
            message = f"no order was found with a peak below {before_bytes:,} bytes"
            emit(Remark(self.name, "missed", "func.func", f"@{where}", message))
        else:
            part = 1 - peak_bytes / before_bytes
            message = f"the peak goes from {before_bytes:,} to {peak_bytes:,} bytes, by {part:.1%}"
            emit(Remark(self.name, "passed", "func.func", f"@{where}", message))
        totals = {"peak_bytes_before": before_bytes, "peak_bytes": peak_bytes}
        if len(graph.functions) == 1:
            totals["bound_bytes"] = bound_bytes
        write_totals(op, "schedule", totals)
        if annotation:
            annotation.apply(ctx, op)


def _annotated_memory(module: ModuleOp) -> AnnotateMemoryPass | None:
    """The pass that wrote the program's memory annotations, None if it has none."""
    memory = read_totals(module).get("memory")
    if not isinstance(memory, Mapping):
        return None
    return AnnotateMemoryPass(
        cast("str | None", memory.get("device")), cast("int | None", memory.get("threads"))
    )


def _reorder_all(module: ModuleOp, workspace: Callable[[Operation], int]) -> int:
    """Reorder callees before callers; return the lower bound of the entry's peak."""
    graph = call_graph(module)
    found = find_storages(graph)
    graphs = MemoryGraphs(graph, found, workspace)
    peaks: dict[str, int] = {}
    bound = 0
    for name, function in graph.functions.items():
        problem, ops = graphs.of(name, peaks), graphs.ops(name)
        order = order_for_memory(problem)
        peaks[name], bound = order.peak_bytes, order.bound_bytes
        assert problem.is_valid(order.ops), f"the order of @{name} breaks a dependency"
        _arrange(function, _with_drops([ops[index] for index in order.ops], found[name]))
    return bound


def _with_drops(ops: Sequence[Operation], function: FunctionStorages) -> list[Operation]:
    """The ops with each drop right after the last use of its storage."""
    last = dict.fromkeys(range(function.num_arguments), -1)
    for index, op in enumerate(ops):
        for value in (*op.operands, *op.results):
            last[function.of[value]] = index
    after: dict[int, list[Operation]] = {}
    for op in function.ops:
        if isinstance(op, DropOp):
            after.setdefault(last[function.of[op.value]], []).append(op)
    arranged = after.get(-1, [])
    for index, op in enumerate(ops):
        arranged += [op, *after.get(index, ())]
    return arranged


def _arrange(function: FuncOp, ops: Sequence[Operation]) -> None:
    """Move ops to the start of a function, in their order."""
    block = function.body.block
    returned = block.last_op
    assert returned is not None
    for op in ops:
        if op is not returned:
            op.detach()
            block.insert_op_before(op, returned)
