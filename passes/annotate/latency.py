"""Annotation of latency: the time of each op on a target, and of the whole program with its interval."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum
from typing import cast

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.call_graph import CallGraph
from steelyard.compiler.analysis.kernel_ops import kernels
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyEstimate, WorkAttr
from steelyard.compiler.pass_infra.totals import read_totals, write_totals
from steelyard.hw.base.kernel_work import ExecutionContext, ExecutionMode
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.latency.intervals import combine
from steelyard.hw.timeline.dispatch_cost import dispatch_cost
from steelyard.passes.annotate.shard_attributes import mesh_ranks
from steelyard.passes.annotate.target import Target
from steelyard.passes.memory.page_faults import mapped_bytes
from steelyard.passes.op_cost.op_latency import LatencyModel
from steelyard.passes.timeline.copy_stalls import stall_us
from steelyard.passes.timeline.host_dispatch import step_us

HOST_LINK = "host link"
"""The limiter of the time that kernels wait for copies to and from the host."""

HOST_DISPATCH = "host dispatch"
"""The limiter of the time that a device waits for its host to dispatch kernels."""

WAITS = (HOST_DISPATCH, HOST_LINK)
"""Limiters of time in which no kernel runs."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time with its 90% interval, in microseconds."""

    value_us: float
    low_us: float
    high_us: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.value_us + other.value_us, self.low_us + other.low_us, self.high_us + other.high_us)


def annotate_latency(program: Analyses, target: Target) -> None:
    """Annotate each op with its latency, by the first rung of the ladder that knows it.

    Reads `cost.work`, and the annotated peak of memory if there is one: what a program touches stays in a
    last cache that can hold the peak. Writes `cost.latency` on each op and the entry `latency` of the totals:
    microseconds of the whole program (value, low, high), by limiter and by source. An op of unknown work is
    left out. In the interval of the total, errors of ops of one kind add up, those of different kinds are
    independent. Where the device file has a rate of page faults, results of 32 MiB or more take them in
    addition. Copies to and from the host go on beside the kernels; what kernels wait for them has the limiter
    `host link`. In eager execution on other devices than a CPU the host dispatches ahead; what the device
    waits for it has the limiter `host dispatch`.

    Args:
        program: Its analyses.
        target: What it runs on.

    Raises:
        DeviceError: the device is not known, or lacks a rate that the work needs.
        IRError: an op has no `cost.work`.
        UsageError: the dispatch costs of the target's software are not known.
    """
    module, graph = program.module, program.call_graph
    device = load_device(target.device)
    model = latency_model(module, target)
    new_bytes: Mapping[Operation, int] = mapped_bytes(program) if model.counts_page_faults else {}
    totals = _Totals()
    for name, function in graph.functions.items():
        for kernel in kernels(function):
            attribute = model.time(kernel)
            if attribute is None:
                kernel.attributes.pop(LATENCY, None)
                continue
            if kernel in new_bytes:
                attribute = model.with_page_faults(attribute, new_bytes[kernel])
            kernel.attributes[LATENCY] = attribute
            work = cast(WorkAttr, kernel.attributes[WORK]).data
            totals.add(work.kind, attribute.data, graph.times[name])
    span = totals.span()
    waits = {HOST_DISPATCH: _host_wait(graph, target, device, span), HOST_LINK: _copy_wait(graph, device)}
    write_totals(module, "latency", totals.entry(span, waits))


def latency_model(module: ModuleOp, target: Target) -> LatencyModel:
    """The model by which the kernels of a program are timed, for passes that weigh other kernels alike.

    Args:
        module: The program, of which the number of ranks and the annotated peak of memory are read.
        target: What it runs on.

    Raises:
        DeviceError: the device is not known.
    """
    device = load_device(target.device)
    peak_bytes = _peak_bytes(module)
    cache_bytes = device.l2_bytes.value if device.l2_bytes else 0.0
    context = ExecutionContext(
        mode=cast(ExecutionMode, target.context),
        tf32=target.tf32,
        threads=target.threads,
        resident=peak_bytes is not None and peak_bytes <= cache_bytes,
        keep_memory=target.keep_memory,
        host_overhead=device.kind == "cpu",  # other devices wait for their host as a whole
    )
    return LatencyModel(device, context, mesh_ranks(module))


def _peak_bytes(module: ModuleOp) -> int | None:
    memory = read_totals(module).get("memory")
    return cast(int, memory["peak_bytes"]) if isinstance(memory, Mapping) else None


def _host_wait(graph: CallGraph, target: Target, device: Device, span: Span) -> Span | None:
    if target.context != "eager" or device.kind == "cpu":
        return None
    cost = dispatch_cost(device, target.software)

    def wait_us(kernels_us: float, host_factor: float) -> float:
        factor = kernels_us / span.value_us if span.value_us else 1.0
        return max(step_us(graph, cost, host_factor, factor) - kernels_us, 0.0)

    return Span(
        wait_us(span.value_us, 1.0),
        wait_us(span.low_us, 1 / cost.spread),
        wait_us(span.high_us, cost.spread),
    )


def _copy_wait(graph: CallGraph, device: Device) -> Span | None:
    waited_us = stall_us(graph, device)
    return None if waited_us is None else Span(waited_us, waited_us, waited_us)


@dataclass(slots=True)
class _Totals:
    _ops: list[tuple[str, LatencyEstimate]] = field(default_factory=list[tuple[str, LatencyEstimate]])

    def add(self, kind: str, latency: LatencyEstimate, times: int) -> None:
        self._ops += [(kind, latency)] * times

    def span(self) -> Span:
        """The time of all kernels one after the other."""
        kinds = defaultdict[str, list[LatencyEstimate]](list)
        for kind, latency in self._ops:
            kinds[kind].append(latency)
        return Span(
            *combine(
                sorted(kinds),
                *(
                    [fsum(getattr(each, name) for each in kinds[kind]) for kind in sorted(kinds)]
                    for name in ("value_us", "low_us", "high_us")
                ),
            )
        )

    def entry(self, span: Span, waits: Mapping[str, Span | None]) -> dict[str, float | dict[str, float]]:
        """The sums, rounded once, so that they do not depend on how the program is cut into functions.

        Args:
            span: Of the kernels.
            waits: What they wait for, by limiter; None where nothing of that kind is waited for.
        """
        limited = defaultdict[str, list[float]](list)
        sources = defaultdict[str, list[float]](list)
        for _, latency in self._ops:
            limited[latency.limiter].append(latency.value_us)
            sources[latency.source].append(latency.value_us)
        for limiter, wait in waits.items():
            if wait is not None:
                limited[limiter].append(wait.value_us)
                sources["analytic"].append(wait.value_us)  # a timeline of modelled kernels
                span += wait
        return {
            "value_us": span.value_us,
            "low_us": span.low_us,
            "high_us": span.high_us,
            "us_by_limiter": {name: fsum(values) for name, values in sorted(limited.items())},
            "us_by_source": {name: fsum(values) for name, values in sorted(sources.items())},
        }
