"""`steelyard transfer`: what was measured on one device, scaled to another."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option


def transfer(
    trace: Annotated[Path, Argument(help="What `steelyard profile --format json` wrote.")],
    origin: Annotated[str, Option("--from", help="The device of the trace: a name or a .toml file.")],
    destination: Annotated[str, Option("--to", help="The other device: a name or a .toml file.")],
    style: Annotated[Literal["table", "json"], Option("--format", help="Of what goes to stdout.")] = "table",
) -> None:
    """Scale measured op times to another device by waves, beside what the models predict for it.

    steelyard transfer trace.json --from t4 --to h100-sxm
    """
    from steelyard.runtime.profile.transfer import transfer_file
    from steelyard.runtime.report.format_transfer import format_transfer

    typer.echo(format_transfer(transfer_file(trace, origin, destination), style))
