"""`steelyard transfer`: scale times measured on one device to another."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option


def transfer(
    trace: Annotated[Path, Argument(help="A trace from `steelyard profile --format json`.")],
    origin: Annotated[str, Option("--from", help="Device of the trace: a name or a .toml file.")],
    destination: Annotated[str, Option("--to", help="Other device: a name or a .toml file.")],
    style: Annotated[
        Literal["table", "json"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Scale measured op times to another device by wave scaling, and compare with the models.

    steelyard transfer trace.json --from t4 --to h100-sxm
    """
    import steelyard as sy

    typer.echo(sy.transfer(trace, origin=origin, destination=destination).to_text(style))
