"""Starts the ranks of a sharded program on this machine with torchrun, and reads what they report."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import IntegerAttr

from steelyard.compiler.text import read_program
from steelyard.hw.errors import ExecutionError, UsageError
from steelyard.passes.shard import MESH
from steelyard.runtime.host_cpu import usable_cpus


def launch(plan: Path, ranks: int, steps: int, check: bool) -> dict[str, Any]:
    """Run a sharded program with one process a rank and gloo between them, cores shared out evenly.

    Args:
        plan: A program that the pass `shard` made.
        ranks: How many processes to start; the program's mesh must have as many ranks.
        steps: How many steps to time.
        check: Compare with the same model in one process.

    Returns:
        The report of rank 0; see `steelyard.runtime.distributed`.

    Raises:
        IRError: The file is no program.
        UsageError: The program is not sharded, or for another number of ranks.
        ExecutionError: A rank failed; what it said is on stderr.
    """
    mesh = read_program(plan).attributes.get(MESH)
    if not isinstance(mesh, IntegerAttr):
        raise UsageError(
            what="the program is not sharded",
            where=str(plan),
            fix=f"steelyard-opt {plan} -p 'shard{{mesh={ranks}}}' -o plan.mlir",
        )
    if mesh.value.data != ranks:
        raise UsageError(
            what="the program is for another number of ranks",
            where="--nproc-per-node",
            why=f"its mesh has {mesh.value.data} ranks, {ranks} processes are asked for",
        )
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        worker = ["-m", "steelyard.runtime.distributed", str(plan), str(report), str(steps)]
        threads = {"OMP_NUM_THREADS": str(max(1, usable_cpus() // ranks))}
        done = subprocess.run(
            [sys.executable, *torchrun, *worker, "check" if check else "-"],
            env=os.environ | threads,
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
