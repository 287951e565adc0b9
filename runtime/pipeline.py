"""From a SPEC to an annotated program."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.context import make_context
from steelyard.compiler.text import read_program
from steelyard.hw.errors import UsageError
from steelyard.hw.registry import load_device
from steelyard.passes.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate_memory import AnnotateMemoryPass
from steelyard.passes.retarget import RetargetPass
from steelyard.passes.totals import read_totals

if TYPE_CHECKING:
    from steelyard.compiler.frontend.model import LoadedModel
    from steelyard.compiler.frontend.options import CaptureOptions
    from steelyard.runtime.verify import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a program is weighed for.

    Attributes:
        device: A device by name or file.
        context: How the program is run.
        tf32: Whether f32 products may use TF32.
        threads: Threads of a CPU that need scratch; all its cores by default.
    """

    device: str = "cpu"
    context: str = "eager"
    tf32: bool = False
    threads: int | None = None


def load_program(spec: str, choices: dict[str, Any]) -> ModuleOp:
    """Capture a model, or read a `.mlir` file; what the model prints goes to stderr.

    Args:
        spec: A SPEC.
        choices: Arguments of `CaptureOptions`, and `allow_pickle` of `load_spec`; a `.mlir` file has made its
            own already.

    Raises:
        SteelyardError: The model cannot be captured, or the file not be read.
    """
    if spec.endswith(".mlir"):
        return read_program(Path(spec))
    # torch is imported only here, so that programs in files are weighed without it
    from steelyard.compiler.frontend.capture import capture
    from steelyard.compiler.frontend.import_graph import import_program

    with redirect_stdout(sys.stderr):
        model, options = _load_model(spec, choices)
        return import_program(capture(model, options), options)


def load_costed(spec: str, choices: dict[str, Any], device: str = "cpu") -> ModuleOp:
    """As `load_program`, with the kernels of a device and `cost.work` on every op.

    Raises:
        SteelyardError: The model cannot be captured, or the file not be read.
    """
    module, context = load_program(spec, choices), make_context()
    RetargetPass(device=device).apply(context, module)
    AnnotateCostPass().apply(context, module)
    return module


def step_time_us(module: ModuleOp) -> float:
    """The predicted time of a program that `annotate-latency` has seen, in microseconds."""
    latency = cast("Mapping[str, float]", read_totals(module)["latency"])
    return latency["value_us"]


def verify_spec(spec: str, choices: dict[str, Any], device: str, tolerance: float) -> "Verification":
    """Run a model on this machine and compare; what the model prints goes to stderr.

    Args:
        spec: A SPEC that is no `.mlir` file.
        choices: As for `load_program`.
        device: The name or the file of this machine's device.
        tolerance: See `runtime.verify`.

    Raises:
        SteelyardError: The model cannot be captured or run, or the device is not known.
    """
    if spec.endswith(".mlir"):
        raise UsageError(
            what=f"{spec} cannot be verified",
            why="a program has no weights, and no model in PyTorch to compare with",
            fix="give the SPEC that it was captured from, such as hf:gpt2",
        )
    load_device(device)  # before the model is built
    from steelyard.runtime.verify import verify

    with redirect_stdout(sys.stderr):
        return verify(*_load_model(spec, choices), device, tolerance)


def annotate_program(module: ModuleOp, target: Target, *, strict: bool = False) -> None:
    """Set `cost.work`, `cost.latency` and `cost.memory` on every op of a program, with the device's kernels.

    Raises:
        SteelyardError: The device is not known or lacks a rate; with `strict`, an op's work is not known.
    """
    context = make_context()
    RetargetPass(device=target.device).apply(context, module)
    AnnotateCostPass(strict=strict).apply(context, module)
    AnnotateLatencyPass(device=target.device, context=target.context, tf32=target.tf32).apply(context, module)
    AnnotateMemoryPass(device=target.device, threads=target.threads).apply(context, module)


def _load_model(spec: str, choices: dict[str, Any]) -> "tuple[LoadedModel, CaptureOptions]":
    from steelyard.compiler.frontend.options import CaptureOptions
    from steelyard.compiler.frontend.spec import load_spec

    allow_pickle = choices.get("allow_pickle", False)
    options = CaptureOptions(**{name: choice for name, choice in choices.items() if name != "allow_pickle"})
    return load_spec(spec, options, allow_pickle=allow_pickle), options
