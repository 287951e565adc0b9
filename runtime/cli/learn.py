"""`steelyard learn`: learn kernel regressors on this machine, into a device file."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import progress_bar, warn


def learn(
    output: Annotated[Path, Option("-o", help="Device file to write; may be that of --device.")],
    device: Annotated[str, Option(help="This machine's CPU: cpu, or a file from `calibrate`.")] = "cpu",
    kinds: Annotated[
        list[str] | None, Option("--kind", help="Learn only this kind of kernel; repeatable; all by default.")
    ] = None,
    budget: Annotated[float, Option(min=1.0, help="Time budget in seconds.")] = 170.0,
    style: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Learn kernel times on this machine's CPU and print the accuracy on held-out kernels.

    steelyard learn --device local-cpu.toml -o local-cpu.toml
    """
    import steelyard as sy

    with progress_bar() as progress:
        learned = sy.learn(
            target=device,
            kinds=kinds or (),
            budget_s=budget,
            output=output,
            progress=progress,
            warn=warn,
        )
    typer.echo(f"wrote {output}; use it with --device {output}", err=True)
    typer.echo(learned.to_text(style))
