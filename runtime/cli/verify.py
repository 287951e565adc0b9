"""`steelyard verify`: run a model on this machine and compare with what was predicted."""

import json
from typing import Annotated

import typer
from typer import Option

from steelyard.runtime.cli.options import (
    AttentionChoice,
    Autocast,
    Batch,
    DType,
    Format,
    ImageSize,
    Optimizer,
    OptimizerChoice,
    Sequence,
    Spec,
    Train,
)

_OUT_OF_TOLERANCE = 3


def verify(
    spec: Spec,
    train: Train = False,
    device: Annotated[str, Option(help="The device file of this machine, from `calibrate`.")] = "cpu",
    batch: Batch = None,
    sequence: Sequence = None,
    image_size: ImageSize = None,
    dtype: DType = "float32",
    attention: AttentionChoice = None,
    optimizer: OptimizerChoice = Optimizer.adamw,
    autocast: Autocast = None,
    tolerance: Annotated[float, Option(min=0.0, help="How far off a prediction may be: 0.25 is 25%.")] = 0.25,
    format: Annotated[Format, Option(help="Of what goes to stdout.")] = Format.table,
) -> None:
    """Run a model here and put what is measured beside what was predicted."""
    from steelyard.compiler.frontend.options import CaptureOptions
    from steelyard.hw.registry import load_device
    from steelyard.runtime.verify import verify as run

    options = CaptureOptions(
        train=train,
        batch=batch,
        sequence=sequence,
        image_size=image_size,
        dtype=dtype,
        attention=attention and attention.value,
        optimizer=optimizer.value,
        autocast=autocast,
    )
    result = run(spec, options, load_device(device), tolerance)
    typer.echo(json.dumps(result.to_json(), indent=2))
    if not result.ok:
        raise typer.Exit(_OUT_OF_TOLERANCE)
