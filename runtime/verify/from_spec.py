"""Verification of the model that a SPEC names."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.runtime.program.load import is_program, load_model
from steelyard.runtime.timing.host_cpu import cpu_model

if TYPE_CHECKING:
    from steelyard.compiler.frontend.model import LoadedModel
    from steelyard.runtime.verify.verify import Verification


def verify_spec(
    spec: "str | LoadedModel",
    choices: dict[str, Any],
    device: str,
    tolerance: float,
    passes: str = "",
    threads: int | None = None,
) -> "Verification":
    """Run a model on this machine and compare; the model's own output goes to stderr.

    Args:
        spec: A SPEC that is no `.mlir` file, or a model that is loaded already.
        choices: As for `load_program`.
        device: The name or the file of this machine's device.
        tolerance: See `runtime.verify`.
        passes: See `runtime.verify`.
        threads: CPU threads; as torch has them by default.

    Raises:
        SteelyardError: The model cannot be captured or run, or the device is not known.
    """
    if is_program(spec):
        raise UsageError(
            what=f"{spec} cannot be verified",
            why="a program has no weights, and no model in PyTorch to compare with",
            fix="give the SPEC that it was captured from, such as hf:gpt2",
        )
    hardware = load_device(device)
    if hardware.kind != "cpu":
        raise UsageError(
            what=f"{hardware.name} cannot be verified",
            why=f"a model would run on this machine's CPU, {cpu_model()}",
            fix=f"weigh it with: steelyard annotate {spec} --device {device}",
        )
    hardware.sustained_with(threads)  # before the model is built
    from steelyard.runtime.timing.microbench import num_threads
    from steelyard.runtime.verify.verify import verify

    with redirect_stdout(sys.stderr), num_threads(threads):
        return verify(*load_model(spec, choices), device, tolerance, passes=passes)
