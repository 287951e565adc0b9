"""`steelyard predict`: predicted times of a table of kernels, scored against measured ones."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option


def predict(
    file: Annotated[str, Argument(help="CSV with kind, dtype and dims, one kernel a row; - for stdin.")],
    device: Annotated[
        str | None, Option(help="A name from `devices list` or a .toml file; a device column overrides it.")
    ] = None,
    score: Annotated[str | None, Option(help="Column of measured milliseconds to score against.")] = None,
    style: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
    output: Annotated[
        Path | None,
        Option("-o", help="Write the predicted rows to this file, as JSON if it is .json, else CSV."),
    ] = None,
) -> None:
    """Predict the kernels of a table, each with a 90% interval, its limiter and its source.

    steelyard predict --device h100-sxm rows.csv --score latency_ms
    """
    import steelyard as sy

    prediction = sy.predict(file, target=device, score=score)
    if output:
        prediction.write(output)
        typer.echo(f"wrote {output}", err=True)
    if prediction.table.scores is not None or not output:
        typer.echo(prediction.to_text(style))
