"""Copy stalls: time that kernels wait for copies to and from the host."""

from typing import cast

from xdsl.ir import SSAValue

from steelyard.compiler.analysis.call_graph import CallGraph
from steelyard.compiler.analysis.execution import execution
from steelyard.compiler.analysis.op_facts import size_bytes
from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.dialects.host import FetchOp, HostType, OffloadOp, StoreOp
from steelyard.compiler.dialects.program import DropOp
from steelyard.hw.devices.device import Device
from steelyard.hw.links.host_link import host_copy_s
from steelyard.passes.timeline.copy_streams import CopyTimeline


def stall_us(graph: CallGraph, device: Device) -> float | None:
    """Stall time in microseconds; None if the program copies nothing.

    A kernel waits for what it reads of values that come back, the end of a reference for its copy out.

    Args:
        graph: A program whose kernels have `cost.latency`.
        device: The one that it runs on.

    Raises:
        DeviceError: The device has no link to a host.
    """
    ops = (op for function in graph.functions.values() for op in function.body.block.ops)
    if not any(isinstance(op, OffloadOp | FetchOp | StoreOp) for op in ops):
        return None
    streams = CopyTimeline()
    copies: dict[int, int] = {}

    def copy_us(copy: SSAValue) -> float:
        return host_copy_s(device, size_bytes(cast(HostType, copy.type).tensor)) * 1e6

    for op, _, operands, results in execution(graph):
        match op:
            case OffloadOp():
                streams.offload(results[0], copy_us(op.copy))
                copies[operands[0]] = results[0]
            case StoreOp():
                streams.offload(operands[1], copy_us(op.copy))
                copies[operands[0]] = operands[1]
            case FetchOp():
                streams.fetch(results[0], operands[0], copy_us(op.copy))
            case DropOp():
                streams.wait(copies.get(operands[0], operands[0]))
            case _:
                latency = op.attributes.get(LATENCY)
                streams.run(latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0, operands)
    return streams.stall_us
