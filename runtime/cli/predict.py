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
    from steelyard.hw.base.atomic_file import write_atomically
    from steelyard.runtime.predict.predict import predict as price
    from steelyard.runtime.report.format_prediction import format_prediction, format_scores

    prediction = price(file, device, score)
    if output:
        text = format_prediction(prediction, "json" if output.suffix == ".json" else "csv")
        write_atomically(output, text + "\n")
        typer.echo(f"wrote {output}", err=True)
    if prediction.scores is not None:
        typer.echo(format_scores(prediction.scores, style))
    elif not output:
        typer.echo(format_prediction(prediction, style))
