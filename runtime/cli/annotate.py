"""`steelyard annotate`: what a model costs, and where."""

import time
from pathlib import Path
from typing import Annotated

from typer import Option

from steelyard.runtime.cli.options import (
    AttentionChoice,
    Autocast,
    Batch,
    By,
    DeviceName,
    DType,
    Format,
    ImageSize,
    Mode,
    Optimizer,
    OptimizerChoice,
    Sequence,
    Spec,
    Train,
)


def annotate(
    spec: Spec,
    train: Train = False,
    device: DeviceName = "cpu",
    batch: Batch = None,
    sequence: Sequence = None,
    image_size: ImageSize = None,
    dtype: DType = "float32",
    attention: AttentionChoice = None,
    optimizer: OptimizerChoice = Optimizer.adamw,
    autocast: Autocast = None,
    context: Annotated[Mode, Option(help="How the program is run.")] = Mode.eager,
    tf32: Annotated[bool, Option("--tf32", help="f32 products may round their inputs to TF32.")] = False,
    depth: Annotated[int, Option(min=1, help="Levels of the module tree that the table shows.")] = 5,
    by: Annotated[By, Option(help="What a row of the table is.")] = By.module,
    format: Annotated[Format, Option(help="Of what goes to stdout.")] = Format.table,
    output: Annotated[Path | None, Option("-o", help="Write the annotated IR to this file.")] = None,
    strict: Annotated[bool, Option("--strict", help="An op of unknown work is an error.")] = False,
) -> None:
    """Weigh a model: FLOPs, bytes, time and live memory of every op, without running it."""
    from steelyard.compiler.text import format_program, write_atomically
    from steelyard.hw.registry import load_device
    from steelyard.runtime.cli.progress import say
    from steelyard.runtime.pipeline import Target, annotate_program, load_program
    from steelyard.runtime.report import make_report
    from steelyard.runtime.report_format import FORMATTERS

    start_s = time.perf_counter()
    hardware = load_device(device)
    choices = {
        "train": train,
        "batch": batch,
        "sequence": sequence,
        "image_size": image_size,
        "dtype": dtype,
        "attention": attention and attention.value,
        "optimizer": optimizer.value,
        "autocast": autocast,
    }
    module = load_program(spec, choices)
    annotate_program(module, Target(device=device, context=context.value, tf32=tf32), strict=strict)
    report = make_report(module, hardware.name)
    for name, count in report.unknown.items():
        say(f"warning: the work of {name} is not known ({count} ops); add it: docs/howto/add-an-op.md")
    if output:
        write_atomically(output, format_program(module))
        say(f"wrote {output}")
    seconds = time.perf_counter() - start_s
    print(FORMATTERS[format.value](report, hardware, by.value, depth, seconds))  # noqa: T201 -- the artifact
