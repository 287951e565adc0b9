"""`steelyard annotate`: cost of a model by module, op or phase."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given


@given.with_capture
def annotate(
    spec: str,
    choices: dict[str, Any],
    device: given.Device = "cpu",
    context: Annotated[
        Literal["eager", "graph", "compiled"], Option(help="Execution mode of the program.")
    ] = "eager",
    tf32: Annotated[bool, Option("--tf32", help="Allow f32 products to round their inputs to TF32.")] = False,
    depth: Annotated[int, Option(min=1, help="Levels of the module tree to show.")] = 5,
    by: Annotated[Literal["module", "op", "phase"], Option(help="Rows of the table.")] = "module",
    style: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
    output: Annotated[
        Path | None, Option("-o", help="Write the annotated IR to this file; - for stdout.")
    ] = None,
    memory_timeline: given.MemoryTimeline = None,
    strict: Annotated[bool, Option("--strict", help="Fail on an op of unknown work.")] = False,
    fusion_rules: Annotated[
        Path | None,
        Option(help="Fuse ops, except pairs that this file of `detect-fusion` lists as separate."),
    ] = None,
) -> None:
    """Weigh a model: FLOPs, bytes, time and live memory, without running it.

    steelyard annotate hf:gpt2 --train --device h100-sxm
    """
    from steelyard.compiler.analysis.analyses import Analyses
    from steelyard.compiler.ir.text import format_program
    from steelyard.hw.allocators.choice import make_allocator
    from steelyard.hw.base.atomic_file import is_stdout, write_atomically
    from steelyard.hw.devices.registry import load_device
    from steelyard.passes.annotate.annotate import annotate as annotate_program
    from steelyard.passes.annotate.target import Target
    from steelyard.passes.fusion.fuse import FusePass
    from steelyard.passes.memory.step_memory import step_memory
    from steelyard.passes.structure.inline import InlinePass
    from steelyard.runtime.capacity.memory_timeline import memory_timeline as timeline
    from steelyard.runtime.capacity.memory_timeline import require_timeline_name, write_timeline
    from steelyard.runtime.detect_fusion.rules_file import read_rules
    from steelyard.runtime.program.load import load_program
    from steelyard.runtime.report.format_summary import FORMATTERS
    from steelyard.runtime.report.summary import summarize

    if memory_timeline:
        require_timeline_name(memory_timeline)
    start_s = time.perf_counter()
    rules = read_rules(fusion_rules) if fusion_rules else None
    hardware = load_device(device)
    target = Target(device=device, context=context, tf32=tf32)
    module = load_program(spec, choices, device=device, flat=rules is not None)
    program = Analyses(module)
    annotate_program(module, target, strict=strict, program=program)
    if rules:
        FusePass(apart=tuple("+".join(pair) for pair in sorted(rules.apart))).run_on(program)
    summary = summarize(program)
    for name, count in summary.unknown.items():
        typer.echo(
            f"warning: the work of {name} is not known ({count} ops): docs/howto/add-an-op.md adds it",
            err=True,
        )
    if output:
        InlinePass().run_on(program)
        write_atomically(output, format_program(module))
        typer.echo(f"wrote {output}", err=True)
    if memory_timeline:
        memory = step_memory(program, hardware)
        write_timeline(memory_timeline, timeline(memory, make_allocator(hardware)))
        typer.echo(f"wrote {memory_timeline}", err=True)
    seconds = time.perf_counter() - start_s
    is_taken = output is not None and is_stdout(output)
    typer.echo(FORMATTERS[style](summary, hardware, by, depth, seconds), err=is_taken)
