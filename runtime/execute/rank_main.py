# pyright: standard
"""Worker of one rank of a sharded program: build the model, take its shards, run steps, report from rank 0.

Started by `steelyard.runtime.execute.rank_processes`: `RANK=0 python -m
steelyard.runtime.execute.rank_main PLAN FOLDER RANKS STEPS CHECK TIMEOUT`.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
import torch.distributed as dist
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import SSAValue

from steelyard.compiler.dialects.literal import from_attribute
from steelyard.compiler.dialects.program import PATH, argument_texts, entry_function
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.frontend.model import BuiltModel, LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture, real_constants
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.compiler.ir.text import read_program
from steelyard.hw.base.errors import ExecutionError, SteelyardError
from steelyard.runtime.execute.rank_processes import (
    FAILED_COLLECTIVE,
    end_with_parent,
    error_file,
    rendezvous,
    report_file,
)
from steelyard.runtime.execute.shard_tensors import splits_of, take_blocks
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments
from steelyard.runtime.timing.host_cpu import usable_cpus
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.steady_state import measure_time_s

TOLERANCE = 1e-4
"""Tolerance of results relative to their largest element: sums are formed in another order."""
_SMALLEST = 1e-3
"""No result is measured by less than this part of the largest but the loss: with the tolerance that is 1e-7,
the rounding of f32. The gradient of a key's bias, for one, is zero but for rounding."""


def main(plan: str, folder: str, ranks: str, steps: str, check: str, timeout_s: str) -> None:
    """Run one rank, whose malloc keeps its memory; rank 0 writes the report, a rank that fails the cause."""
    end_with_parent()
    rank, place = int(os.environ["RANK"]), Path(folder)
    try:
        dist.init_process_group(
            "gloo",
            init_method=rendezvous(place),
            rank=rank,
            world_size=int(ranks),
            timeout=timedelta(seconds=float(timeout_s)),
        )
        with memory_kept():
            found = run_rank(read_program(Path(plan)), int(steps), check == "check")
        if rank == 0:
            report_file(place).write_text(json.dumps(found), encoding="utf-8")
    except Exception as error:
        error_file(place, rank).write_text(json.dumps(_cause(error)), encoding="utf-8")
        raise


def _cause(error: Exception) -> str:
    """One line that says why a rank failed; for a collective that waited in vain, which."""
    if isinstance(error, SteelyardError):
        return ": ".join(filter(None, (error.what, error.why)))
    text = str(error).partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.line or "" for frame in frames if frame.filename.startswith("<eval_with_key>")]
    if lines and (found := re.search(r"_c10d_functional\.(\w+)", lines[-1])):
        return f"{FAILED_COLLECTIVE}: {found[1]}: {text}"
    if any(frame.filename == dist.__file__ or "distributed_c10d" in frame.filename for frame in frames):
        return f"{FAILED_COLLECTIVE}: {frames[-1].name}: {text}"
    return f"{type(error).__name__}: {text}"


def run_rank(module: ModuleOp, steps: int, check: bool) -> dict[str, Any]:
    """Run a sharded program as this rank of the default process group.

    Args:
        module: A program from the pass `shard`; it is changed.
        steps: Number of timed steps, after a warm-up step whose results are reported.
        check: Compare these results and the time with those of the model in one process.

    Raises:
        ExecutionError: The program does not say how its model was built, or they do not fit.
    """
    model, options = _load(module)
    names, added = _name_results(module)
    built, optimizer = build_real(model, options)
    constants = _constants(module, model, options, built)
    arguments = order_arguments(module, take_blocks(module, bind(built, optimizer, constants)))
    run = compile_program(module)
    results = {name: value.clone() for name, value in zip(names, run(*arguments), strict=True)}
    found: dict[str, Any] = {
        "ranks": dist.get_world_size(),
        "loss": results["loss"].item() if "loss" in results else None,
        "step_time_ms": _time_ms(lambda: run(*arguments), steps),
    }
    if check:
        # A gradient lies as its parameter does.
        splits = {
            f"grad:{path}": each for (role, path), each in splits_of(module).items() if role == "parameter"
        }
        results = {name: splits[name].gather(v) if name in added else v for name, v in results.items()}
    dist.barrier()
    if check and dist.get_rank() == 0:
        # Nobody waits for this.
        found["check"] = _compare(model, options, results, steps)
    return found


def _load(module: ModuleOp) -> tuple[LoadedModel, CaptureOptions]:
    spec, chosen = module.attributes.get("program.model"), module.attributes.get("program.options")
    if not isinstance(spec, StringAttr) or not isinstance(chosen, DictionaryAttr):
        raise ExecutionError(
            what="the program does not say how its model was built",
            why="program.model and program.options are not both there",
            fix="capture it again with `steelyard annotate SPEC -o FILE`",
        )
    options = CaptureOptions(**{name: from_attribute(value) for name, value in chosen.data.items()})  # pyright: ignore
    return load_spec(spec.data, options), options


def _constants(
    module: ModuleOp, model: LoadedModel, options: CaptureOptions, built: BuiltModel
) -> dict[str, torch.Tensor]:
    """Tensors that are literals in the model's source; only a capture finds them, if there are any."""
    buffers = {path for role, path in splits_of(module) if role == "buffer"}
    if buffers <= dict(built.module.named_buffers()).keys():
        return {}
    return real_constants(capture(model, options), model, options)


def _name_results(module: ModuleOp) -> tuple[list[str], set[str]]:
    """Make the program also return the gradients that its optimizer takes.

    Returns:
        The names of all results, and of the added ones, which keep their sharding.
    """
    function = entry_function(module)
    names: Any = from_attribute(function.attributes["program.results"])
    paths = dict(zip(function.body.block.args, argument_texts(function, PATH), strict=True))
    gradients: dict[str, SSAValue] = {}
    for op in function.body.block.ops:
        arguments: Any = op.arguments() if isinstance(op, TorchOp) else {}
        if "grads" in arguments:
            for parameter, gradient in zip(arguments["self"], arguments["grads"], strict=True):
                gradients[f"grad:{paths[parameter]}"] = gradient
    new = {name: value for name, value in gradients.items() if name not in names}
    returned = function.body.block.last_op
    assert isinstance(returned, ReturnOp)
    returned.operands = [*returned.operands, *new.values()]
    return [*names, *new], {*new}


def _time_ms(step: Callable[[], Any], steps: int) -> float:
    """The median time of a step on which all ranks start together, milliseconds."""
    times = list[float]()
    for _ in range(steps):
        dist.barrier()
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return median(times) * 1e3


def _compare(
    model: LoadedModel, options: CaptureOptions, results: dict[str, torch.Tensor], steps: int
) -> dict[str, Any]:
    """Run the model in this process with all cores, and compare with the ranks' results."""
    torch.set_num_threads(usable_cpus())
    options = replace(options, return_grads=options.train)
    built, optimizer = build_real(model, options)

    def step() -> dict[str, torch.Tensor]:
        return run_step(built, optimizer, options)

    expected = {name: value.clone() for name, value in step().items()}
    sizes = {name: value.double().abs().max().item() for name, value in expected.items()}
    floor = _SMALLEST * max((size for name, size in sizes.items() if name != "loss"), default=0.0)
    off = {
        name: _largest_diff(results[name], value) / max(sizes[name], floor, 1e-30)
        for name, value in expected.items()
        if name in results
    }
    missing = sorted(expected.keys() - results.keys())
    different = sorted(name for name, each in off.items() if not each <= TOLERANCE)
    return {
        "ok": not different and not missing,
        "compared": len(off),
        "different": different,
        "missing": missing,
        "max_relative_diff": max(off.values()),
        "tolerance": TOLERANCE,
        "loss": expected["loss"].item() if "loss" in expected else None,
        "step_time_ms": measure_time_s(step, steps) * 1e3,
    }


def _largest_diff(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    return (ours.double() - theirs.double()).abs().max().item()


if __name__ == "__main__":
    main(*sys.argv[1:])
