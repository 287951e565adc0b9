"""`steelyard characterize`: how time grows with one dim of a kernel."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import show_progress


def characterize(
    kind: Annotated[Literal["conv2d", "gemm"], Option(help="The kernel.")] = "conv2d",
    sweep: Annotated[Literal["channels", "kernel", "batch"], Option(help="What of it varies.")] = "channels",
    output: Annotated[
        Path | None, Option("-o", help="The report to write, as JSON; stdout by default.")
    ] = None,
    plot: Annotated[Path | None, Option(help="A plot to write, as .png, .svg or .pdf.")] = None,
) -> None:
    """Time a kernel on this machine's CPU over a range of sizes, and find the steps in its time.

    steelyard characterize --kind conv2d --sweep channels -o report.json --plot plot.png
    """
    from steelyard.runtime.kernel_predictor.measure import measure_kernel_s
    from steelyard.runtime.machine import this_machine

    from steelyard.hw.errors import UsageError
    from steelyard.runtime.characterize.plot import plot_behaviour, require_matplotlib
    from steelyard.runtime.characterize.sweep import characterize, find_sweep

    for option, path in (("-o", output), ("--plot", plot)):
        if path is not None and not path.absolute().parent.is_dir():  # before a minute is spent
            raise UsageError(what=f"the folder of {path} does not exist", where=option)
    if plot is not None:
        require_matplotlib()
    behaviour = characterize(find_sweep(kind, sweep), measure_kernel_s, show_progress)
    typer.echo(str(behaviour), err=True)
    text = json.dumps(behaviour.to_json(this_machine()), indent=1)
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        typer.echo(f"wrote {output}", err=True)
    if plot is not None:
        plot_behaviour(behaviour, plot)
        typer.echo(f"wrote {plot}", err=True)
