"""`steelyard detect-fusion`: pairs of ops that an executor runs as one kernel."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import progress_bar, warn


def detect_fusion(
    output: Annotated[Path | None, Option("-o", help="TOML rules file to write.")] = None,
    executor: Annotated[Literal["eager", "inductor"], Option(help="Executor of the ops.")] = "inductor",
    ops: Annotated[
        list[str] | None, Option("--op", help="Test only pairs of these ops; repeatable; all by default.")
    ] = None,
    budget: Annotated[float, Option(min=1.0, help="Time budget in seconds.")] = 170.0,
    style: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Time pairs of ops on this machine's CPU and report which run as one kernel.

    steelyard detect-fusion --op aten.relu --op aten.add.Tensor -o rules.toml
    """
    import steelyard as sy

    with progress_bar() as progress:
        detected = sy.detect_fusion(
            ops or (),
            executor=executor,
            budget_s=budget,
            output=output,
            progress=progress,
            warn=warn,
        )
    if output:
        typer.echo(f"wrote {output}", err=True)
    fused = [each.fused for each in detected.found]
    typer.echo(
        f"{fused.count(True)} of {len(fused)} pairs run as one kernel, {fused.count(None)} could not be told",
        err=True,
    )
    typer.echo(detected.to_text(style))
