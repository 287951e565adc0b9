"""`steelyard detect-fusion`: which pairs of ops an executor runs as one kernel."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import show_progress


def detect_fusion(
    output: Annotated[Path | None, Option("-o", help="The rules to write; stdout by default.")] = None,
    executor: Annotated[Literal["eager", "inductor"], Option(help="What runs the ops.")] = "inductor",
    kinds: Annotated[
        list[str] | None, Option("--kind", help="Only pairs of these kinds; repeatable; all by default.")
    ] = None,
) -> None:
    """Time pairs of ops on this machine's CPU and write down which of them run as one kernel.

    steelyard detect-fusion --kind conv2d --kind relu -o rules.toml
    """
    from steelyard.runtime.machine import this_machine

    from steelyard.hw.errors import UsageError
    from steelyard.runtime.detect_fusion.executors import PairTimer
    from steelyard.runtime.detect_fusion.kinds import all_pairs
    from steelyard.runtime.detect_fusion.rules import detect_fusion
    from steelyard.runtime.detect_fusion.rules_file import format_rules

    if output is not None and not output.absolute().parent.is_dir():  # before minutes are spent
        raise UsageError(what=f"the folder of {output} does not exist", where="-o")
    rules = detect_fusion(list(all_pairs(kinds or ())), PairTimer(executor), show_progress)
    text = format_rules(rules, executor, this_machine())
    fused = [rule for rule in rules if rule.fuses]
    typer.echo(f"{len(fused)} of {len(rules)} pairs run as one kernel", err=True)
    if unstable := sum(not rule.stable for rule in rules):
        typer.echo(
            f"warning: {unstable} could not be decided; is the CPU busy with something else?", err=True
        )
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {output}", err=True)
