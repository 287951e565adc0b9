"""The pass annotate-latency: the time of each op on a device."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.passes.annotate.annotate import renew
from steelyard.passes.annotate.latency import annotate_latency
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import Target, read_target, write_target


@dataclass(frozen=True)
class AnnotateLatencyPass(ProgramPass):
    """Annotate each op with its latency on a device.

    Reads `cost.work`, and the peak of `annotate-memory` if there is one: what a program touches stays in a
    last cache that can hold the peak. Writes `cost.latency` on each op and the entry `latency` of the
    module's `cost.totals`: microseconds of the whole program (value, low, high), by limiter and by source.
    `steelyard.passes.annotate.latency` says of what they are the sums.

        %2 = aten.mm(%0, %1) {cost.latency = #cost.latency<us = [4.2, 3.1, 5.9], launch, analytic>, ...} : ...

    Raises:
        DeviceError: the device is not known, or lacks a rate that the work needs.
        UsageError: the context is none of eager, graph and compiled.
        IRError: the program has no annotated work.
    """

    name = "annotate-latency"
    requires = frozenset({"work"})
    ensures = frozenset({"latency"})

    device: str
    """Name of a device, or path of its file."""

    context: str = "eager"
    """Execution op by op (eager), as one CUDA graph (graph), or by compiled code (compiled)."""

    tf32: bool = False
    """Whether f32 products may use TF32 units."""

    threads: int | None = None
    """Threads of a CPU; all that it was calibrated with where not given."""

    software: str | None = None
    """Release of PyTorch that dispatches on the host, such as torch-2.1; the newest where not given."""

    keep_memory: bool = False
    """Whether malloc keeps what is freed, as where Steelyard runs a program; then no page faults."""

    def transform(self, program: Analyses) -> None:
        """Annotate the ops of a module."""
        target = Target(
            device=self.device,
            context=self.context,
            tf32=self.tf32,
            threads=self.threads,
            software=self.software,
            keep_memory=self.keep_memory,
        )
        if target != read_target(program.module):
            write_target(program.module, target)
            renew(program, {"memory"})
        annotate_latency(program, target)
