"""The one sequence that annotates a program: work, memory, latency."""

from collections.abc import Collection

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.compiler.pass_infra.contract import ANNOTATIONS, Annotation, annotations_of
from steelyard.passes.annotate.latency import annotate_latency
from steelyard.passes.annotate.memory import annotate_memory
from steelyard.passes.annotate.target import Target, read_target, write_target
from steelyard.passes.annotate.work import annotate_work


def annotate(
    module: ModuleOp, target: Target, *, strict: bool = False, program: Analyses | None = None
) -> None:
    """Annotate a program with work, live memory and latency, and keep the target in its totals.

    Memory comes before latency, which reads the peak: a program that fits into the last cache is faster.

    Args:
        module: The program.
        target: What it runs on.
        strict: Whether an op of unknown work is an error.
        program: Its analyses, where there are some to share.

    Raises:
        DeviceError: the device is not known, or lacks a rate that the work needs.
        IRError: the module is not a program; with `strict`, an op is unknown.
    """
    write_target(module, target)
    _annotate(program or Analyses(module), target, ANNOTATIONS, strict=strict)


def renew(program: Analyses, stale: Collection[Annotation] = ANNOTATIONS) -> None:
    """Make annotations anew, those that a program has, for the target that it has.

    Args:
        program: Its analyses.
        stale: The annotations that are not true any more.

    Raises:
        DeviceError: the device lacks a rate that the work needs.
    """
    present = annotations_of(program.module)
    _annotate(program, read_target(program.module), [each for each in stale if each in present])


def _annotate(
    program: Analyses, target: Target | None, wanted: Collection[Annotation], *, strict: bool = False
) -> None:
    with without_collector():
        if "work" in wanted:
            annotate_work(program, strict=strict)
        if "memory" in wanted:
            annotate_memory(program, target)
        if "latency" in wanted and target:
            annotate_latency(program, target)
