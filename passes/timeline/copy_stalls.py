"""Copy stalls: time that kernels wait for copies to and from the host."""

from typing import cast

from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.call_graph import CallGraph, callee_name
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
    walk = _Walk(graph, device)
    walk.run(graph.entry, {})
    return walk.streams.stall_us


class _Walk:
    """Follows a program and its calls; a value has one number for each time that it is made."""

    def __init__(self, graph: CallGraph, device: Device) -> None:
        self.streams = CopyTimeline()
        self._graph = graph
        self._device = device
        self._count = 0
        self._copies: dict[int, int] = {}

    def run(self, function: FuncOp, known: dict[SSAValue, int]) -> list[int]:
        """Run a function whose arguments have the numbers `known`; the numbers of its results."""

        def number(value: SSAValue) -> int:
            if value not in known:
                known[value] = self._count = self._count + 1
            return known[value]

        for op in function.body.block.ops:
            operands = [number(value) for value in op.operands]
            if isinstance(op, CallOp):
                callee = self._graph.functions[callee_name(op)]
                results = self.run(callee, dict(zip(callee.body.block.args, operands, strict=True)))
                known |= zip(op.results, results, strict=True)
            elif isinstance(op, ReturnOp):
                return operands
            else:
                self._step(op, operands, [number(value) for value in op.results])
        return []

    def _step(self, op: Operation, operands: list[int], results: list[int]) -> None:
        if isinstance(op, OffloadOp):
            self.streams.offload(results[0], self._copy_us(op.copy))
            self._copies[operands[0]] = results[0]
        elif isinstance(op, StoreOp):
            self.streams.offload(operands[1], self._copy_us(op.copy))
            self._copies[operands[0]] = operands[1]
        elif isinstance(op, FetchOp):
            self.streams.fetch(results[0], operands[0], self._copy_us(op.copy))
        elif isinstance(op, DropOp):
            self.streams.wait(self._copies.get(operands[0], operands[0]))
        else:
            latency = op.attributes.get(LATENCY)
            self.streams.run(latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0, operands)

    def _copy_us(self, copy: SSAValue) -> float:
        return host_copy_s(self._device, size_bytes(cast(HostType, copy.type).tensor)) * 1e6
