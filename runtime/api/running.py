"""The functions of the API that run a model on this machine."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Unpack

from steelyard.compiler.dialects.program import text_attribute
from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.progress import Progress, ignore
from steelyard.hw.devices.registry import load_device
from steelyard.hw.latency.profile_store import PROFILES_VARIABLE, local_store
from steelyard.runtime.api.results import Tabulated, Verified
from steelyard.runtime.api.source import Model, StepOptions, opened
from steelyard.runtime.program.load import load_costed
from steelyard.runtime.report.format_run import format_run


def verify(
    model: Model,
    *,
    target: str = "cpu",
    tolerance: float = 0.25,
    passes: str = "",
    threads: int | None = None,
    **step: Unpack[StepOptions],
) -> Verified:
    """Run a model on this machine and compare measured with predicted time and memory.

    Args:
        model: A SPEC or a module, of which copies run: its own weights stay as they are.
        target: This machine's device.
        tolerance: Tolerated relative error.
        passes: Passes to run first.
        threads: CPU threads; torch's number by default.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured or run, or the device is not known.
    """
    from steelyard.runtime.verify.from_spec import verify_spec

    with redirect_stdout(sys.stderr), opened(model, step) as (source, choices):
        return Verified(verify_spec(source, choices, target, tolerance, passes, threads))


def profile(
    model: Model,
    *,
    target: str = "cpu",
    repeats: int = 19,
    progress: Progress = ignore,
    **step: Unpack[StepOptions],
) -> Tabulated[Any]:
    """Measure each distinct op of a model on this machine, into the store that predictions read.

    Args:
        model: A SPEC or a module.
        target: This machine: `cpu`, a file from `calibrate`, or the name of its GPU.
        repeats: Timed calls of each op.
        progress: Told of each measurement.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured, the device is not in this machine, or there is no store.
    """
    from steelyard.runtime.profile.profile import profile as measure
    from steelyard.runtime.report.format_profile import format_table, format_trace

    store = local_store()
    if store is None:
        raise UsageError(
            what="there is no profile to keep measurements in",
            where=PROFILES_VARIABLE,
            why="the variable is empty",
            fix="set it to the path of a file, or unset it",
        )
    hardware = load_device(target)
    with opened(model, step) as (source, choices):
        module = load_costed(source, choices)
    found = measure(module, hardware, store, repeats, progress)
    name = text_attribute(module, "program.model") or str(model)
    formats = {"table": format_table, "json": format_trace}
    return Tabulated(found, lambda style: formats[style](found, hardware, name))


def run(
    plan: Path,
    *,
    ranks: int = 1,
    steps: int = 3,
    check: bool = False,
    target: str | None = None,
    allow_code: bool = False,
    timeout_s: float = 60.0,
) -> Tabulated[dict[str, Any]]:
    """Run a sharded program with a process a rank, and put its predicted beside its measured time.

    Args:
        plan: A program from the pass `shard`.
        ranks: Number of processes.
        steps: Steps to time.
        check: Compare with the same model in one process.
        target: Device of the prediction; by default that of the plan's annotations, else `cpu`.
        allow_code: Run the Python file that the plan names as its model.
        timeout_s: Time that a collective may wait for the other ranks.

    Raises:
        SteelyardError: The plan cannot be read, or a rank fails.
    """
    from steelyard.runtime.execute.launch import launch

    report = launch(plan, ranks, steps, check, target, allow_code=allow_code, timeout_s=timeout_s)
    return Tabulated(report, lambda style: format_run(report, style))
