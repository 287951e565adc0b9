"""`steelyard profile`: measure the ops of a model on this machine."""

from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given
from steelyard.runtime.cli.progress import progress_bar


@given.with_capture
def profile(
    spec: str,
    choices: dict[str, Any],
    device: Annotated[
        str, Option(help="This machine: cpu, a file from `calibrate`, or the name of its GPU.")
    ] = "cpu",
    repeats: Annotated[int, Option(min=1, help="Timed calls of each op.")] = 19,
    style: Annotated[
        Literal["table", "json"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Measure each distinct op of a model on this machine, for `annotate` and `predict` on this device.

    steelyard profile hf:gpt2 --train --device local.toml
    """
    import steelyard as sy

    with progress_bar() as progress:
        measured = sy.profile(spec, target=device, repeats=repeats, progress=progress, **choices)
    for signature, why in measured.found.failed.items():
        typer.echo(f"warning: {signature} could not be run by itself: {why}", err=True)
    typer.echo(f"the profile is {measured.found.store}", err=True)
    typer.echo(measured.to_text(style))
