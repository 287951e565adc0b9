"""Host dispatch: the time that a device waits for the host that launches its kernels."""

from functools import cache

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import CallOp, FuncOp

from steelyard.compiler.analysis.call_graph import CallGraph, callee_name
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyAttr, WorkAttr
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import PHASE, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.timeline.dispatch_cost import DispatchCost
from steelyard.hw.timeline.host_and_device import SYNCHRONISATION, Clocks, dispatched, host_only


def step_us(
    graph: CallGraph, cost: DispatchCost, host_factor: float = 1.0, kernel_factor: float = 1.0
) -> float:
    """Return the time of a program between two synchronisations, in microseconds, by two clocks.

    The host dispatches one call after the other, ahead of the device; a kernel starts when it is dispatched
    and the one before it is done; an op whose result the host reads makes it wait for the device.

    Args:
        graph: A program whose kernels have `cost.latency`, that of the device alone.
        cost: Of the host.
        host_factor: Of all times of the host.
        kernel_factor: Of all times of kernels.
    """
    recorded = graph.entry.sym_name.data == "step"

    def of_kernel(op: TorchOp | FusedOp) -> Clocks:
        work, latency = op.attributes.get(WORK), op.attributes.get(LATENCY)
        is_view = isinstance(work, WorkAttr) and work.data.kind == "view"
        phase = text_attribute(op, PHASE) or "forward"
        listed = len(op.operands) if phase == "optimizer" else 0
        host_us = host_factor * cost.call_us(phase, recorded=recorded, view=is_view, operands=listed)
        if is_view:
            return host_only(host_us)
        kernel_us = latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0
        clocks = dispatched(host_us, kernel_factor * kernel_us)
        return clocks @ SYNCHRONISATION if _is_read_by_host(op) else clocks

    @cache
    def of_function(function: FuncOp) -> Clocks:
        clocks = Clocks()
        for op in function.body.block.ops:
            if isinstance(op, CallOp):
                clocks @= of_function(graph.functions[callee_name(op)])
            elif isinstance(op, TorchOp | FusedOp):
                clocks @= of_kernel(op)
        return clocks

    return of_function(graph.entry).end_us


def _is_read_by_host(op: TorchOp | FusedOp) -> bool:
    """Whether an op gives the host a number, not a tensor."""
    return bool(op.results) and not any(isinstance(each.type, TensorType) for each in op.results)
