"""Annotation of latency: the time of each op on a target, and of the whole program with its interval."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum
from typing import cast

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.kernel_ops import kernels
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyEstimate, WorkAttr
from steelyard.compiler.pass_infra.totals import read_totals, write_totals
from steelyard.hw.base.kernel_work import ExecutionContext, ExecutionMode
from steelyard.hw.devices.registry import load_device
from steelyard.hw.latency.intervals import combine
from steelyard.passes.annotate.shard_attributes import mesh_ranks
from steelyard.passes.annotate.target import Target
from steelyard.passes.memory.page_faults import mapped_bytes
from steelyard.passes.op_cost.op_latency import LatencyModel
from steelyard.passes.timeline.copy_stalls import stall_us

HOST_LINK = "host link"
"""The limiter of the time that kernels wait for copies to and from the host."""


def annotate_latency(program: Analyses, target: Target) -> None:
    """Annotate each op with its latency, by the first rung of the ladder that knows it.

    Reads `cost.work`, and the annotated peak of memory if there is one: what a program touches stays in a
    last cache that can hold the peak. Writes `cost.latency` on each op and the entry `latency` of the totals:
    microseconds of the whole program (value, low, high), by limiter and by source. An op of unknown work is
    left out. In the interval of the total, errors of ops of one kind add up, those of different kinds are
    independent. Where the device file has a rate of page faults, results of 32 MiB or more take them in
    addition. Copies to and from the host go on beside the kernels; what kernels wait for them has the limiter
    `host link`.

    Args:
        program: Its analyses.
        target: What it runs on.

    Raises:
        DeviceError: the device is not known, or lacks a rate that the work needs.
        IRError: an op has no `cost.work`.
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
    write_totals(module, "latency", totals.entry(stall_us(graph, device)))


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
    )
    return LatencyModel(device, context, mesh_ranks(module))


def _peak_bytes(module: ModuleOp) -> int | None:
    memory = read_totals(module).get("memory")
    return cast(int, memory["peak_bytes"]) if isinstance(memory, Mapping) else None


@dataclass(slots=True)
class _Totals:
    _ops: list[tuple[str, LatencyEstimate]] = field(default_factory=list[tuple[str, LatencyEstimate]])

    def add(self, kind: str, latency: LatencyEstimate, times: int) -> None:
        self._ops += [(kind, latency)] * times

    def entry(self, stall_us: float | None) -> dict[str, float | dict[str, float]]:
        """The sums, rounded once, so that they do not depend on how the program is cut into functions.

        Args:
            stall_us: How long kernels wait for copies; None where there are none.
        """
        limited = defaultdict[str, list[float]](list)
        sources = defaultdict[str, list[float]](list)
        kinds = defaultdict[str, list[LatencyEstimate]](list)
        for kind, latency in self._ops:
            limited[latency.limiter].append(latency.value_us)
            sources[latency.source].append(latency.value_us)
            kinds[kind].append(latency)
        value_us, low_us, high_us = combine(
            sorted(kinds),
            *(
                [fsum(getattr(each, name) for each in kinds[kind]) for kind in sorted(kinds)]
                for name in ("value_us", "low_us", "high_us")
            ),
        )
        if stall_us is not None:
            limited[HOST_LINK].append(stall_us)
            sources["analytic"].append(stall_us)  # a timeline of modelled kernels and copies
        more_us = stall_us or 0.0
        return {
            "value_us": value_us + more_us,
            "low_us": low_us + more_us,
            "high_us": high_us + more_us,
            "us_by_limiter": {name: fsum(values) for name, values in sorted(limited.items())},
            "us_by_source": {name: fsum(values) for name, values in sorted(sources.items())},
        }
