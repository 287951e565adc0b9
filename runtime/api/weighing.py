"""The functions of the API that weigh a model without running it."""

import time
from pathlib import Path
from typing import Unpack

from steelyard.compiler.frontend.options import no_effect
from steelyard.compiler.ir.context import make_context
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate as annotate_program
from steelyard.passes.annotate.target import Target
from steelyard.passes.fusion.fuse import FusePass
from steelyard.runtime.api.results import Coverage, Program, Weighing
from steelyard.runtime.api.source import Model, StepOptions, opened
from steelyard.runtime.capacity.memory_timeline import require_timeline_name
from steelyard.runtime.detect_fusion.rules_file import read_rules
from steelyard.runtime.program.load import load_program
from steelyard.runtime.program.parse_passes import parse_passes
from steelyard.runtime.report.coverage import find_unknown
from steelyard.runtime.report.summary import Grouping, summarize


def annotate(
    model: "Model | Program",
    *,
    target: str | Target = "cpu",
    strict: bool = False,
    by: Grouping = "module",
    depth: int | None = None,
    shapes: bool = False,
    fusion_rules: Path | None = None,
    memory_timeline: Path | None = None,
    **step: Unpack[StepOptions],
) -> Weighing:
    """Weigh a model: FLOPs, bytes, time and live memory, without running it.

    Args:
        model: A SPEC, a module or a captured program. The weights of a module are neither copied nor changed.
        target: A device, by name or file, or a whole target.
        strict: Whether an op of unknown work is an error.
        by: Rows of the table.
        depth: Levels of the module tree in it; 5 by default.
        shapes: Whether the table has the shapes of the modules' outputs.
        fusion_rules: Fuse ops, except pairs that this file of `detect-fusion` lists as separate.
        memory_timeline: A `.csv` or `.json` file to write live bytes after each allocation to.
        step: See `StepOptions`.

    Raises:
        SteelyardError: The model cannot be captured, the device is not known or lacks a rate.
    """
    start_s = time.perf_counter()
    for name, given in (("depth", depth is not None), ("shapes", shapes)):
        if given and by != "module":
            raise no_effect(name, f"--by {by}", "only modules are a tree and have outputs")
    if memory_timeline:
        require_timeline_name(memory_timeline)  # before the model is captured
    target = Target(device=target) if isinstance(target, str) else target
    rules = read_rules(fusion_rules) if fusion_rules else None
    device = load_device(target.device)
    if target.tf32 and "tf32" not in device.matrix_peak_flops_per_s:
        raise no_effect("tf32", device.name, "it has no units for TF32")
    if target.software and (device.kind == "cpu" or target.context != "eager"):
        on = f"{device.name}, {target.context}"
        raise no_effect("software", on, "only a device to which ops are dispatched one by one waits for it")
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
    weighing = Weighing(weighed, summary, device, time.perf_counter() - start_s, by, depth or 5, shapes)
    if memory_timeline:
        weighing.write_memory_timeline(memory_timeline)
    return weighing


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
