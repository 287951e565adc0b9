"""The functions of the API."""

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Unpack

from steelyard.compiler.dialects.program import assumptions
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import unknown_ops
from steelyard.hw.allocators.choice import make_allocator
from steelyard.hw.allocators.context import parse_version
from steelyard.hw.allocators.options import parse_allocator
from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.units import parse_bytes
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import device_names, load_device
from steelyard.passes.annotate.annotate import annotate as annotate_program
from steelyard.passes.annotate.target import Target
from steelyard.passes.fusion.fuse import FusePass
from steelyard.runtime.api.results import Coverage, Fit, Prediction, Program, Verified, Weighing
from steelyard.runtime.api.source import Model, StepOptions, opened
from steelyard.runtime.capacity.fits import MemoryBudget, fit_of, usable_bytes
from steelyard.runtime.capacity.max_batch import largest_batch
from steelyard.runtime.capacity.memory_timeline import memory_timeline as timeline
from steelyard.runtime.capacity.memory_timeline import require_timeline_name, write_timeline
from steelyard.runtime.capacity.suggestions import suggest
from steelyard.runtime.detect_fusion.rules_file import read_rules
from steelyard.runtime.predict.predict import predict as predict_table
from steelyard.runtime.program.load import load_costed, load_program
from steelyard.runtime.program.parse_passes import parse_passes
from steelyard.runtime.report.coverage import find_unknown
from steelyard.runtime.report.summary import Grouping, summarize


def annotate(
    model: "Model | Program",
    *,
    target: str | Target = "cpu",
    strict: bool = False,
    by: Grouping = "module",
    depth: int = 5,
    fusion_rules: Path | None = None,
    **step: Unpack[StepOptions],
) -> Weighing:
    """Weigh a model: FLOPs, bytes, time and live memory, without running it.

    Args:
        model: A SPEC, a module or a captured program. The weights of a module are neither copied nor changed.
        target: A device, by name or file, or a whole target.
        strict: Whether an op of unknown work is an error.
        by: Rows of the table.
        depth: Levels of the module tree in it.
        fusion_rules: Fuse ops, except pairs that this file of `detect-fusion` lists as separate.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured, the device is not known or lacks a rate.
    """
    start_s = time.perf_counter()
    target = Target(device=target) if isinstance(target, str) else target
    rules = read_rules(fusion_rules) if fusion_rules else None
    device = load_device(target.device)
    if isinstance(model, Program):
        weighed = Program(model.module.clone())
    else:
        with opened(model, step) as (source, choices):
            weighed = Program(load_program(source, choices, device=target.device, flat=rules is not None))
    program = weighed.analyses
    annotate_program(weighed.module, target, strict=strict, program=program)
    if rules:
        FusePass(apart=tuple("+".join(pair) for pair in sorted(rules.apart))).run_on(program)
    summary = summarize(program)
    return Weighing(weighed, summary, device, time.perf_counter() - start_s, by, depth)


def capture(model: Model, *, target: str | None = None, **step: Unpack[StepOptions]) -> Program:
    """Capture one step of a model as a program.

    Args:
        model: A SPEC or a module.
        target: The device whose kernels the program gets; a CPU's where it is not given.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured.
    """
    with opened(model, step) as (source, choices):
        return Program(load_program(source, choices, device=target))


def run_passes(program: Program, passes: str) -> Program:
    """Run passes on a copy of a program.

    Args:
        program: The program.
        passes: A pipeline such as `fuse,annotate-latency{device=h100-sxm}`.

    Raises:
        SteelyardError: There is no such pass or option, or a pass cannot work on the program.
    """
    module = program.module.clone()
    parse_passes(passes).apply(make_context(), module)
    return Program(module)


def check(model: Model, **step: Unpack[StepOptions]) -> Coverage:
    """Find the ops of a model whose work is unknown.

    Args:
        model: A SPEC or a module.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured.
    """
    return Coverage(tuple(find_unknown(capture(model, **step).module)))


def fits(
    model: Model,
    *,
    target: str,
    reserve: str = "0",
    allocator: str = "",
    cuda: str = "",
    keep_gradients: bool = False,
    devices: int = 8,
    memory_timeline: Path | None = None,
    **step: Unpack[StepOptions],
) -> Fit:
    """Check whether a model fits into a device's memory, and suggest changes if it does not.

    Args:
        model: A SPEC or a module.
        target: The device, by name or file.
        reserve: Memory to leave free, such as `1GiB`.
        allocator: Options as in PYTORCH_CUDA_ALLOC_CONF, or `backend:onnxruntime`.
        cuda: CUDA version; the newest of the device by default.
        keep_gradients: Set gradients to zero instead of None.
        devices: Devices that ZeRO may shard states over, for suggestions.
        memory_timeline: A `.csv` or `.json` file to write live bytes after each allocation to.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured, or the device is not known.
    """
    if memory_timeline:
        require_timeline_name(memory_timeline)
    budget = _budget(target, reserve, allocator, cuda, keep_gradients)
    usable_bytes(budget)  # before the model is captured
    with opened(model, step) as (source, choices):
        module = load_costed(source, choices, target)
        memory = budget.memory(module)
        fit = fit_of(memory, budget, unknown_ops(module))
        if memory_timeline:
            write_timeline(
                memory_timeline, timeline(memory, make_allocator(budget.device, None, budget.options))
            )
        ways = () if fit.fits else tuple(suggest(source, choices, target, budget, devices))
    return Fit(fit, ways, assumptions(module))


def max_batch(
    model: Model,
    *,
    target: str,
    reserve: str = "0",
    allocator: str = "",
    cuda: str = "",
    keep_gradients: bool = False,
    **step: Unpack[StepOptions],
) -> Fit:
    """Find the largest batch that fits into a device's memory.

    Args:
        model: A SPEC, or a module whose `inputs` are a function of the batch.
        target: The device; the other arguments are those of `fits`.
        reserve: See `fits`.
        allocator: See `fits`.
        cuda: See `fits`.
        keep_gradients: See `fits`.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured, or its memory does not depend on the batch.
    """
    budget = _budget(target, reserve, allocator, cuda, keep_gradients)
    usable_bytes(budget)
    make_inputs: Any = step.get("inputs")
    if not isinstance(model, str) and not callable(make_inputs):
        raise UsageError(
            what="the inputs of a live module do not vary with the batch",
            fix="pass a function of the batch, such as inputs=lambda batch: torch.empty(batch, 3, 224, 224)",
        )

    def at(batch: int) -> Any:
        sized: Any = {"batch": batch} if isinstance(model, str) else {"inputs": make_inputs(batch)}
        whole: Any = {**step, **sized}
        with opened(model, whole) as (source, choices):
            return load_costed(source, choices, target)

    found = largest_batch(at, budget)
    return Fit(found.fit, batch=found.batch)


def predict(table: str, *, target: str | None = None, score: str | None = None) -> Prediction:
    """Predict the kernels of a CSV table, each with a 90% interval, its limiter and its source.

    Args:
        table: The file, or `-` for stdin.
        target: The device of rows that name none.
        score: Column of measured milliseconds to score against.

    Raises:
        SteelyardError: The file cannot be read, or a row is invalid.
    """
    return Prediction(predict_table(table, target, score))


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


def devices() -> tuple[Device, ...]:
    """Load every device that has a file, in the order of their names."""
    return tuple(map(load_device, device_names()))


def _budget(target: str, reserve: str, allocator: str, cuda: str, keep_gradients: bool) -> MemoryBudget:
    hardware, options = load_device(target), parse_allocator(allocator)
    make_allocator(hardware, None, options)  # refuses options that its allocator has not
    return MemoryBudget(
        device=hardware,
        reserve_bytes=parse_bytes(reserve),
        options=options,
        cuda=parse_version(cuda) if cuda else None,
        keep_gradients=keep_gradients,
    )
