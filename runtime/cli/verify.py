"""`steelyard verify`: run a model on this machine and compare with the prediction."""

from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given

_OUT_OF_TOLERANCE = 3


@given.with_capture
def verify(
    spec: str,
    choices: dict[str, Any],
    device: Annotated[str, Option(help="This machine's device file, from `calibrate`.")] = "cpu",
    tolerance: Annotated[
        float, Option(min=0.0, help="Tolerated relative error of a prediction; 0.25 is 25%.")
    ] = 0.25,
    passes: Annotated[str, Option(help="Passes to run first, such as 'recompute{budget=0.4}'.")] = "",
    threads: Annotated[
        int | None,
        Option(min=1, help="CPU threads to run with and to predict for; torch's number by default."),
    ] = None,
    style: Annotated[
        Literal["table", "json"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Run a model on this machine and compare measured with predicted time and memory.

    steelyard verify hf:gpt2 --train --device local.toml
    """
    import steelyard as sy

    result = sy.verify(spec, target=device, tolerance=tolerance, passes=passes, threads=threads, **choices)
    typer.echo(result.to_json() if style == "json" else result)
    if not result.ok:
        raise typer.Exit(_OUT_OF_TOLERANCE)
