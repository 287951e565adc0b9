"""The pass annotate-latency: how long each op takes on a device."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import fsum
from typing import cast, get_args

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.compiler.call_graph import call_graph
from steelyard.compiler.dialects.cost import (
    LATENCY,
    WORK,
    LatencyAttr,
    LatencyEstimate,
    UnknownAttr,
    WorkAttr,
    WorkCounts,
)
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.op_call import CallReader
from steelyard.hw.errors import IRError, UsageError, did_you_mean
from steelyard.hw.registry import load_device
from steelyard.hw.roofline import Roofline
from steelyard.hw.work import DType, ExecutionContext, ExecutionMode, KernelWork, Latency, WorkKind
from steelyard.passes.collective_clock import CollectiveClock
from steelyard.passes.kernels import kernels
from steelyard.passes.mesh import mesh_ranks
from steelyard.passes.totals import write_totals

# Devices have no rates of their own for complex and unsigned numbers.
_ARITHMETIC = {"c32": "f16", "c64": "f32", "c128": "f64", "ui8": "i8", "none": "f32"}

OPTIONS = ("device", "context", "tf32", "threads")
"""The options of annotate-latency, which the totals keep, so that a later pass can annotate alike."""


@dataclass(frozen=True)
class AnnotateLatencyPass(ModulePass):
    """Say of each op how long it takes on a device, by the roofline model.

    Reads `cost.work`. Writes `cost.latency` on each op and the entry `latency` of the module's `cost.totals`:
    microseconds of the whole program (value, low, high) and by limiter. An op of unknown work is left out.
    The low and high of the total are the sums of those of the ops, as if all erred alike.

        %2 = aten.mm(%0, %1) {cost.latency = #cost.latency<us = [4.2, 3.1, 5.9], launch, analytic>, ...} : ...

    Raises:
        DeviceError: the device is not known, or lacks a rate that the work needs.
        UsageError: the context is none of eager, graph and compiled.
        IRError: an op has no `cost.work`.
    """

    name = "annotate-latency"

    device: str
    """Name of a device, or path of its file."""

    context: str = "eager"
    """How the program runs: op by op (eager), as one CUDA graph (graph), or by compiled code (compiled)."""

    tf32: bool = False
    """Whether f32 products may use TF32 units."""

    threads: int | None = None
    """Threads of a CPU; all that it was calibrated with where not given."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Annotate the ops of a module."""
        clock = self.clock(mesh_ranks(op))
        graph = call_graph(op)
        totals = _Totals()
        for name, function in graph.functions.items():
            for kernel in kernels(function):
                attribute = clock.time(kernel)
                if attribute is None:
                    continue
                kernel.attributes[LATENCY] = attribute
                totals.add(attribute.data, graph.times[name])
        options = {name: getattr(self, name) for name in OPTIONS}
        write_totals(op, "latency", {**options, **totals.entry()})

    def clock(self, ranks: int | None = None) -> "Clock":
        """What times the kernels, for passes that weigh other kernels by the same model.

        Args:
            ranks: How many devices take part in a collective; without it none can be timed.

        Raises:
            DeviceError: the device is not known.
            UsageError: the context is none of eager, graph and compiled.
        """
        if self.context not in get_args(ExecutionMode):
            raise UsageError(
                what=f"there is no context {self.context!r}",
                where="annotate-latency",
                fix=did_you_mean(self.context, get_args(ExecutionMode)),
            )
        mode = cast(ExecutionMode, self.context)
        device = load_device(self.device)
        context = ExecutionContext(mode=mode, tf32=self.tf32, threads=self.threads)
        return Clock(Roofline(device, context), CollectiveClock(device, ranks))


class Clock:
    """Times kernels by their work; what it found for one it knows for all that are like it."""

    def __init__(self, roofline: Roofline, collectives: CollectiveClock) -> None:
        self._roofline = roofline
        self._collectives = collectives
        self._reader = CallReader()
        self._known: dict[tuple[WorkCounts, int], LatencyAttr] = {}

    def time(self, kernel: TorchOp | FusedOp) -> LatencyAttr | None:
        """The latency of a kernel, None where its work is unknown."""
        work = kernel.attributes.get(WORK)
        if isinstance(work, UnknownAttr):
            return None
        if not isinstance(work, WorkAttr):
            raise IRError(what=f"{kernel.name} has no cost.work", fix="run annotate-cost before")
        if work.data.kind == "collective" and isinstance(kernel, TorchOp):
            return _attribute(self._collectives.time(kernel, work.data))
        # All that a fused kernel writes is new.
        is_fused = isinstance(kernel, FusedOp)
        allocated = work.data.bytes_written if is_fused else self._reader.read(kernel).allocated_bytes
        return self.time_work(work.data, allocated)

    def time_work(self, work: WorkCounts, allocated_bytes: int) -> LatencyAttr:
        """The latency of a kernel of this work, of whose results so many bytes are fresh storage."""
        key = work, allocated_bytes
        if key not in self._known:
            self._known[key] = self._estimate(work, allocated_bytes)
        return self._known[key]

    def _estimate(self, work: WorkCounts, allocated_bytes: int) -> LatencyAttr:
        return _attribute(
            self._roofline.latency(
                KernelWork(
                    kind=cast(WorkKind, work.kind),
                    dtype=cast(DType, _ARITHMETIC.get(work.dtype, work.dtype)),
                    contraction_flops=work.contraction_flops,
                    pointwise_flops=work.pointwise_flops,
                    transcendental_flops=work.transcendental_flops,
                    bytes_read=work.bytes_read,
                    bytes_written=work.bytes_written,
                    allocated_bytes=min(allocated_bytes, work.bytes_written),
                )
            )
        )


def _attribute(latency: Latency) -> LatencyAttr:
    return LatencyAttr(
        LatencyEstimate(
            value_us=_microseconds(latency.value_s),
            low_us=_microseconds(latency.low_s),
            high_us=_microseconds(latency.high_s),
            limiter=latency.limiter,
            source=latency.source,
        )
    )


def _microseconds(seconds: float) -> float:
    # Six digits say more than any model knows, and keep the text of a program short.
    return float(f"{seconds * 1e6:.6g}")


@dataclass(slots=True)
class _Totals:
    _values: list[float] = field(default_factory=list[float])
    _lows: list[float] = field(default_factory=list[float])
    _highs: list[float] = field(default_factory=list[float])
    _limiters: dict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))

    def add(self, latency: LatencyEstimate, times: int) -> None:
        self._values += [latency.value_us] * times
        self._lows += [latency.low_us] * times
        self._highs += [latency.high_us] * times
        self._limiters[latency.limiter] += [latency.value_us] * times

    def entry(self) -> dict[str, float | dict[str, float]]:
        """The sums, rounded once, so that they do not depend on how the program is cut into functions."""
        return {
            "value_us": fsum(self._values),
            "low_us": fsum(self._lows),
            "high_us": fsum(self._highs),
            "us_by_limiter": {name: fsum(values) for name, values in sorted(self._limiters.items())},
        }
