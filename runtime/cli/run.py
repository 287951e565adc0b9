"""`steelyard run`: execute a sharded program with several processes on this machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

_CHECK_FAILED = 1


def run(
    plan: Annotated[Path, Argument(help="A program from the pass shard.")],
    ranks: Annotated[int, Option("--nproc-per-node", min=1, help="Number of processes, one a rank.")] = 1,
    steps: Annotated[int, Option(min=1, help="Steps to time, after one warm-up step.")] = 3,
    check: Annotated[
        bool, Option("--check", help="Compare results and time with the same model in one process.")
    ] = False,
    device: Annotated[
        str | None,
        Option(help="Device of the prediction; by default that of the plan's annotations, else cpu."),
    ] = None,
    allow_code: Annotated[
        bool, Option("--allow-code", help="Run the Python file that the plan names as its model.")
    ] = False,
    timeout_s: Annotated[
        float, Option("--timeout", min=1.0, help="Seconds that a collective may wait for the other ranks.")
    ] = 60.0,
    style: Annotated[
        Literal["table", "json"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Run a sharded program and print its loss, predicted and measured step time.

    steelyard run plan.mlir --nproc-per-node 2 --check
    """
    import steelyard as sy

    found = sy.run(
        plan,
        ranks=ranks,
        steps=steps,
        check=check,
        target=device,
        allow_code=allow_code,
        timeout_s=timeout_s,
    )
    typer.echo(found.to_text(style))
    if check and not found.found["check"]["ok"]:
        raise typer.Exit(_CHECK_FAILED)
