"""Launch of a sharded program's ranks on this machine."""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp, StringAttr

from steelyard.compiler.ir.text import read_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.shard_attributes import mesh_ranks
from steelyard.passes.annotate.target import Target, read_target
from steelyard.runtime.execute.comparison import Comparison
from steelyard.runtime.execute.rank_processes import report_file, run_ranks
from steelyard.runtime.timing.host_cpu import usable_cpus


@dataclass(frozen=True, slots=True)
class StepPrediction:
    """Predicted time of one rank's step on a device, milliseconds."""

    device: str
    value_ms: float
    low_ms: float
    high_ms: float


def launch(
    plan: Path,
    ranks: int,
    steps: int,
    check: bool,
    device: str | None = None,
    *,
    allow_code: bool = False,
    timeout_s: float = 60.0,
) -> dict[str, Any]:
    """Run a sharded program with one process a rank over gloo; cores are split evenly.

    The ranks meet by a file in a private folder and talk over the loopback interface.

    Args:
        plan: A program that the pass `shard` made.
        ranks: Number of processes; must equal the ranks of the program's mesh.
        steps: Number of timed steps.
        check: Compare with the same model in one process.
        device: Device of the prediction; by default that of the plan's annotations, else `cpu`.
        allow_code: Run the Python file that the plan names as its model, if it does.
        timeout_s: Time that a collective may wait for the other ranks.

    Returns:
        The report of rank 0 (see `steelyard.runtime.execute.rank_main`), with predicted and measured time.

    Raises:
        IRError: The file is not a valid program.
        UsageError: The program is not sharded, for another number of ranks, or names a Python file.
        DeviceError: The device is unknown, or lacks a rate.
        ExecutionError: A rank failed, was ended or did not answer; it is named, with the cause.
    """
    module = read_program(plan)
    mesh = mesh_ranks(module)
    if mesh is None:
        raise UsageError(
            what="the program is not sharded",
            where=str(plan),
            fix=f"steelyard-opt {plan} -p 'shard{{mesh={ranks}}}' -o plan.mlir",
        )
    if mesh != ranks:
        raise UsageError(
            what="the program is for another number of ranks",
            where="--nproc-per-node",
            why=f"its mesh has {mesh} ranks, {ranks} processes are asked for",
        )
    _require_no_code(module, plan, allow_code)
    threads = max(1, usable_cpus() // ranks)
    predicted = predict(module, device, threads)
    report = _run(plan, ranks, steps, check, threads, timeout_s)
    time = Comparison(predicted.value_ms, report["step_time_ms"], predicted.low_ms, predicted.high_ms)
    return {**report, "device": predicted.device, "step_time_ms": time.to_json()}


def predict(module: ModuleOp, device: str | None, threads: int) -> StepPrediction:
    """Predict the step time of each rank on this machine, with its threads and a malloc that keeps memory.

    Args:
        module: A sharded program; its annotations are renewed.
        device: Name or file of the device; by default that of the program's annotations, else `cpu`.
        threads: Threads of each rank; used if the CPU was calibrated with that number.

    Raises:
        DeviceError: The device is unknown, or lacks a rate.
    """
    target = read_target(module) or Target()
    target = replace(target, device=device or target.device, keep_memory=True)
    calibrated = {entry.threads for entry in load_device(target.device).sustained}
    annotate(module, replace(target, threads=threads if threads in calibrated else None))
    latency: Any = read_totals(module)["latency"]
    value, low, high = (latency[f"{name}_us"] / 1e3 for name in ("value", "low", "high"))
    return StepPrediction(target.device, value, low, high)


def _require_no_code(module: ModuleOp, plan: Path, allow_code: bool) -> None:
    model = module.attributes.get("program.model")
    path = model.data.rpartition(":")[0] if isinstance(model, StringAttr) else ""
    if path.endswith(".py") and not allow_code:
        raise UsageError(
            what=f"the plan runs the Python file {path}",
            where=str(plan),
            fix="pass --allow-code if you trust the plan and that file",
        )


def _run(plan: Path, ranks: int, steps: int, check: bool, threads: int, timeout_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="steelyard-") as name:
        folder = Path(name)
        words = [plan, folder, ranks, steps, "check" if check else "-", timeout_s]
        worker = ["-m", "steelyard.runtime.execute.rank_main", *map(str, words)]
        run_ranks(worker, ranks, folder, threads, timeout_s)
        return json.loads(report_file(folder).read_text(encoding="utf-8"))
