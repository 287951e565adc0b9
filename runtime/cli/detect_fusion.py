"""`steelyard detect-fusion`: pairs of ops that an executor runs as one kernel."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import show_progress


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
    from steelyard.hw.base.atomic_file import require_writable, write_atomically
    from steelyard.runtime.detect_fusion.format import format_verdicts
    from steelyard.runtime.detect_fusion.rules_file import format_rules
    from steelyard.runtime.detect_fusion.test_ops import all_pairs
    from steelyard.runtime.detect_fusion.this_machine import detect_here, this_machine

    if output:
        require_writable(output)  # before minutes are spent
    verdicts = detect_here(all_pairs(ops or ()), executor, budget, show_progress, _warn)
    measured = this_machine(executor)
    if output:
        write_atomically(output, format_rules(verdicts, measured))
        typer.echo(f"wrote {output}", err=True)
    fused = sum(each.fused is True for each in verdicts)
    open_ = sum(each.fused is None for each in verdicts)
    typer.echo(f"{fused} of {len(verdicts)} pairs run as one kernel, {open_} could not be told", err=True)
    typer.echo(format_verdicts(verdicts, measured, style))


def _warn(text: str) -> None:
    typer.echo(f"\nwarning: {text}", err=True)
