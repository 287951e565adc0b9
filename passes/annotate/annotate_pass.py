"""The pass annotate: work, live memory and latency of a program for a target."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import Target


@dataclass(frozen=True)
class AnnotatePass(ProgramPass):
    """Annotate a program with its work, its live memory and its latency on a device.

    The same as `annotate-cost,annotate-memory{device=..},annotate-latency{device=..}`, with each analysis
    computed once.

        steelyard-opt step.mlir -p 'annotate{device=h100-sxm context=graph},fuse'

    Raises:
        DeviceError: the device is not known, or lacks a rate that the work needs.
        UsageError: the context is none of eager, graph and compiled.
        IRError: the module is not a program; with `strict`, an op is unknown.
    """

    name = "annotate"
    ensures = frozenset({"work", "memory", "latency"})

    device: str
    """Name of a device, or path of its file."""

    context: str = "eager"
    """Execution op by op (eager), as one CUDA graph (graph), or by compiled code (compiled)."""

    tf32: bool = False
    """Whether f32 products may use TF32 units."""

    threads: int | None = None
    """Threads of a CPU; by default as many as it was calibrated with, or all its cores."""

    software: str | None = None
    """Release of PyTorch that dispatches on the host, such as torch-2.1; the newest where not given."""

    strict: bool = False
    """Whether an op of unknown work is an error."""

    def transform(self, program: Analyses) -> None:
        """Annotate the ops of a module."""
        target = Target(
            device=self.device,
            context=self.context,
            tf32=self.tf32,
            threads=self.threads,
            software=self.software,
        )
        annotate(program.module, target, strict=self.strict, program=program)
