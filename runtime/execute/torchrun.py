"""Launch of the ranks of a sharded program on this machine with torchrun, and their report."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.ir.text import read_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import ExecutionError, UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.shard_attributes import mesh_ranks
from steelyard.passes.annotate.target import Target, read_target
from steelyard.runtime.execute.comparison import Comparison
from steelyard.runtime.timing.host_cpu import usable_cpus


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted step time of each rank on a device, in milliseconds."""

    device: str
    value_ms: float
    low_ms: float
    high_ms: float


def launch(plan: Path, ranks: int, steps: int, check: bool, device: str | None = None) -> dict[str, Any]:
    """Run a sharded program with one process a rank and gloo between them, cores shared out evenly.

    Args:
        plan: A program that the pass `shard` made.
        ranks: How many processes to start; the program's mesh must have as many ranks.
        steps: How many steps to time.
        check: Compare with the same model in one process.
        device: What to predict the time for; that of the plan's annotations where not given, else `cpu`.

    Returns:
        The report of rank 0 (see `steelyard.runtime.execute.rank_main`), the predicted beside the measured
        time.

    Raises:
        IRError: The file is no program.
        UsageError: The program is not sharded, or for another number of ranks.
        DeviceError: The device is not known, or lacks a rate.
        ExecutionError: A rank failed; what it said is on stderr.
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
    threads = max(1, usable_cpus() // ranks)
    predicted = predict(module, device, threads)
    report = _run(plan, ranks, steps, check, threads)
    time = Comparison(predicted.value_ms, report["step_time_ms"], predicted.low_ms, predicted.high_ms)
    return {**report, "device": predicted.device, "step_time_ms": time.to_json()}


def predict(module: ModuleOp, device: str | None, threads: int) -> Prediction:
    """Predict the step time of each rank here: with its threads, and a malloc that keeps its memory.

    Args:
        module: A sharded program; it is annotated anew.
        device: Its name or file; that of the program's annotations where not given, else `cpu`.
        threads: Of each rank, if it is a CPU that was calibrated with so many.

    Raises:
        DeviceError: The device is not known, or lacks a rate.
    """
    target = read_target(module) or Target()
    target = replace(target, device=device or target.device, keep_memory=True)
    calibrated = {entry.threads for entry in load_device(target.device).sustained}
    annotate(module, replace(target, threads=threads if threads in calibrated else None))
    latency: Any = read_totals(module)["latency"]
    value, low, high = (latency[f"{name}_us"] / 1e3 for name in ("value", "low", "high"))
    return Prediction(target.device, value, low, high)


def _run(plan: Path, ranks: int, steps: int, check: bool, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        worker = ["-m", "steelyard.runtime.execute.rank_main", str(plan), str(report), str(steps)]
        done = subprocess.run(
            [sys.executable, *torchrun, *worker, "check" if check else "-"],
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode or not report.exists():
            raise ExecutionError(
                what="a rank failed",
                where=str(plan),
                why=f"torchrun ended with {done.returncode}",
                fix="what the rank said is above",
            )
        return json.loads(report.read_text(encoding="utf-8"))
