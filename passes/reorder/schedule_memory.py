"""The pass schedule-memory: reorder ops for a lower peak of live bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.liveness import Workspace
from steelyard.compiler.analysis.storages import FunctionStorages
from steelyard.compiler.dialects.program import DropOp
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.compiler.pass_infra.totals import write_totals
from steelyard.passes.annotate.memory import workspace_for
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import read_target
from steelyard.passes.reorder.build_memory_graph import MemoryGraphs
from steelyard.passes.reorder.min_cut_order import order_for_memory


@dataclass(frozen=True)
class ScheduleMemoryPass(ProgramPass):
    """Reorder the ops of every function for a lower peak of live bytes.

    Reads operands, aliases and in-place writes; where the program has a target, also `cost.work`, for
    workspace. Data dependences and in-place writes are respected, and random ops and collectives keep
    their order; phases may mix. Each `program.drop` moves to the last use of its storage. What functions free
    for their callers is unchanged. If the peak is no lower, the program is left as it was (missed).

    Writes the ops in their new order, the entry `schedule` of the totals (peak before, peak, and for a
    program without calls a lower bound of any order), memory and latency anew if present, and one remark.

        steelyard-opt step.mlir -p annotate-cost,annotate-memory,schedule-memory

    Raises:
        DeviceError: the device of the program's target is unknown.
        IRError: the module has no entry function, or its types cannot be read.
    """

    name = "schedule-memory"
    invalidates = frozenset({"memory", "latency"})
    rewrites = True

    def transform(self, program: Analyses) -> None:
        """Reorder the functions of a module."""
        workspace = workspace_for(read_target(program.module))
        graph = program.call_graph
        before_bytes = program.liveness(workspace).peak_bytes
        original = {function: [*function.body.block.ops] for function in graph.functions.values()}
        bound_bytes = _reorder_all(program, workspace)
        program.invalidate()
        peak_bytes = program.liveness(workspace).peak_bytes
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
        write_totals(program.module, "schedule", totals)


def _reorder_all(program: Analyses, workspace: Workspace) -> int:
    """Reorder callees before callers; return the lower bound of the entry's peak."""
    graph, found = program.call_graph, program.storages
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
