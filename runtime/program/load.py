"""From a SPEC to an annotated program."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.compiler.ir.text import read_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass
from steelyard.passes.fusion.fuse import FusePass
from steelyard.passes.retarget.retarget import RetargetPass
from steelyard.passes.structure.inline import InlinePass

if TYPE_CHECKING:
    from steelyard.compiler.frontend.model import LoadedModel
    from steelyard.compiler.frontend.options import CaptureOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a program is weighed for.

    Attributes:
        device: A device by name or file.
        context: How the program is run.
        tf32: Whether f32 products may use TF32.
        threads: Threads of a CPU that work and need scratch; by default as many as it was calibrated with,
            or all its cores.
        keep_memory: Whether malloc keeps what is freed, as where Steelyard runs a program.
    """

    device: str = "cpu"
    context: str = "eager"
    tf32: bool = False
    threads: int | None = None
    keep_memory: bool = False


def load_program(
    spec: str, choices: dict[str, Any], *, device: str | None = None, flat: bool = True
) -> ModuleOp:
    """Capture a model, or read a `.mlir` file; what the model prints goes to stderr.

    Args:
        spec: A SPEC.
        choices: Arguments of `CaptureOptions`, and `allow_pickle` of `load_spec`; a `.mlir` file has made its
            own already.
        device: Whose kernels the program gets; those of a CPU, or of the file, where not given.
        flat: Make one function of a captured model. Otherwise it calls one for each of many equal blocks, and
            passes take no longer for many than for a few.

    Raises:
        SteelyardError: The model cannot be captured, or the file not be read.
    """
    passes = [RetargetPass(device=device)] if device else []
    if spec.endswith(".mlir"):
        module = read_program(Path(spec))
        _apply(passes, module)
        return module
    # torch is imported only here, so that programs in files are weighed without it
    with redirect_stdout(sys.stderr), without_collector():
        from steelyard.compiler.frontend.lower import lower

        module = lower(*load_model(spec, choices), partial(_apply, passes))
    if flat:
        InlinePass().apply(make_context(), module)
    return module


def load_costed(spec: str, choices: dict[str, Any], device: str = "cpu") -> ModuleOp:
    """As `load_program`, with `cost.work` on every op.

    Raises:
        SteelyardError: The model cannot be captured, or the file not be read.
    """
    module = load_program(spec, choices, device=device)
    AnnotateCostPass().apply(make_context(), module)
    return module


def step_time_us(module: ModuleOp) -> float:
    """The predicted time of a program that `annotate-latency` has seen, in microseconds."""
    latency = cast("Mapping[str, float]", read_totals(module)["latency"])
    return latency["value_us"]


def annotate_program(module: ModuleOp, target: Target, *, strict: bool = False) -> None:
    """Set `cost.work`, `cost.latency` and `cost.memory` on every op of a program.

    Raises:
        SteelyardError: The device is not known or lacks a rate; with `strict`, an op's work is not known.
    """
    context = make_context()
    with without_collector():
        AnnotateCostPass(strict=strict).apply(context, module)
        AnnotateMemoryPass(device=target.device, threads=target.threads).apply(context, module)
        AnnotateLatencyPass(
            device=target.device,
            context=target.context,
            tf32=target.tf32,
            threads=target.threads,
            keep_memory=target.keep_memory,
        ).apply(context, module)


def fuse_program(module: ModuleOp, apart: Iterable[tuple[str, str]]) -> None:
    """Fuse what one kernel does faster in an annotated program, and annotate it anew.

    Args:
        module: What `annotate_program` has seen.
        apart: Pairs of ops by name that stay apart.
    """
    FusePass(apart=tuple("+".join(pair) for pair in sorted(apart))).apply(make_context(), module)


def flatten_annotated(module: ModuleOp, target: Target) -> None:
    """Make one function of an annotated program: the memory of an op then counts from the program's entry."""
    InlinePass().apply(make_context(), module)
    AnnotateMemoryPass(device=target.device, threads=target.threads).apply(make_context(), module)


def _apply(passes: Iterable[ModulePass], module: ModuleOp) -> None:
    for each in passes:
        each.apply(make_context(), module)


def load_model(spec: str, choices: dict[str, Any]) -> "tuple[LoadedModel, CaptureOptions]":
    """Load the model of a SPEC that is no `.mlir` file, and its capture options.

    Raises:
        SteelyardError: The SPEC is unknown or its model cannot be built.
    """
    from steelyard.compiler.frontend.options import CaptureOptions
    from steelyard.compiler.frontend.spec import load_spec

    allow_pickle = choices.get("allow_pickle", False)
    options = CaptureOptions(**{name: choice for name, choice in choices.items() if name != "allow_pickle"})
    return load_spec(spec, options, allow_pickle=allow_pickle), options
