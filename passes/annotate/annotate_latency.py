"""The pass annotate-latency: how long each op takes on a device."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum
from typing import cast, get_args

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.kernel_ops import kernels
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyEstimate, WorkAttr
from steelyard.compiler.pass_infra.totals import read_totals, write_totals
from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.base.kernel_work import ExecutionContext, ExecutionMode
from steelyard.hw.devices.registry import load_device
from steelyard.hw.latency.intervals import combine
from steelyard.passes.annotate.shard_attributes import mesh_ranks
from steelyard.passes.memory.page_faults import mapped_bytes
from steelyard.passes.op_cost.op_latency import LatencyModel
from steelyard.passes.timeline.copy_stalls import stall_us

OPTIONS = ("device", "context", "tf32", "threads", "keep_memory")
"""The options of annotate-latency, which the totals keep, so that a later pass can annotate alike."""


@dataclass(frozen=True)
class AnnotateLatencyPass(ModulePass):
    """Say of each op how long it takes on a device, by the first rung of the ladder that knows it.

    Reads `cost.work`, and the peak of `annotate-memory` if that ran before: what a program touches stays in a
    last cache that can hold the peak. Writes `cost.latency` on each op and the entry `latency` of the
    module's `cost.totals`: microseconds of the whole program (value, low, high) and by limiter. An op of
    unknown work is left out.
    In the interval of the total, errors of ops of one kind add up, those of different kinds are independent.
    Where the device file has a rate of page faults, results of 32 MiB or more take them in addition.
    Copies to and from the host go on beside the kernels; what kernels wait for them has limiter `host link`.

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

    keep_memory: bool = False
    """Whether malloc keeps what is freed, as where Steelyard runs a program; then no page faults."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Annotate the ops of a module."""
        clock = self.clock(mesh_ranks(op), peak_bytes=_peak_bytes(op))
        graph = call_graph(op)
        device = load_device(self.device)
        new_bytes: Mapping[Operation, int] = mapped_bytes(graph) if clock.counts_page_faults else {}
        totals = _Totals()
        for name, function in graph.functions.items():
            for kernel in kernels(function):
                attribute = clock.time(kernel)
                if attribute is None:
                    continue
                if kernel in new_bytes:
                    attribute = clock.with_page_faults(attribute, new_bytes[kernel])
                kernel.attributes[LATENCY] = attribute
                work = cast(WorkAttr, kernel.attributes[WORK]).data
                totals.add(work.kind, attribute.data, graph.times[name])
        options = {name: getattr(self, name) for name in OPTIONS}
        waited = stall_us(graph, device)
        write_totals(op, "latency", {**options, **totals.entry(waited)})

    def clock(self, ranks: int | None = None, peak_bytes: int | None = None) -> LatencyModel:
        """What times the kernels, for passes that weigh other kernels by the same model.

        Args:
            ranks: How many devices take part in a collective; without it none can be timed.
            peak_bytes: The peak memory of the program, if it is known.

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
        cache_bytes = device.l2_bytes.value if device.l2_bytes else 0.0
        resident = peak_bytes is not None and peak_bytes <= cache_bytes
        context = ExecutionContext(
            mode=mode,
            tf32=self.tf32,
            threads=self.threads,
            resident=resident,
            keep_memory=self.keep_memory,
        )
        return LatencyModel(device, context, ranks)


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
        kinds = defaultdict[str, list[LatencyEstimate]](list)
        for kind, latency in self._ops:
            limited[latency.limiter].append(latency.value_us)
            kinds[kind].append(latency)
        value_us, low_us, high_us = combine(
            sorted(kinds),
            *(
                [fsum(getattr(each, name) for each in kinds[kind]) for kind in sorted(kinds)]
                for name in ("value_us", "low_us", "high_us")
            ),
        )
        if stall_us is not None:
            limited["host link"].append(stall_us)
        more_us = stall_us or 0.0
        return {
            "value_us": value_us + more_us,
            "low_us": low_us + more_us,
            "high_us": high_us + more_us,
            "us_by_limiter": {name: fsum(values) for name, values in sorted(limited.items())},
        }
