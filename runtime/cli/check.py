"""`steelyard check`: ops of a model whose work is unknown."""

from typing import Any

import typer

from steelyard.runtime.cli import options as given

_CHECK_FAILED = 1


@given.with_capture
def check(spec: str, choices: dict[str, Any]) -> None:
    """List the ops whose work is unknown, with the source lines they come from.

    steelyard check model.py:make --train
    """
    from steelyard.runtime.program.load import load_program
    from steelyard.runtime.report.coverage import find_unknown

    found = find_unknown(load_program(spec, choices))
    for op in found:
        typer.echo(f"{op.name}  {op.count} ops  first at {op.where}")
    if found:
        typer.echo("describe their work: docs/howto/add-an-op.md", err=True)
        raise typer.Exit(_CHECK_FAILED)
    typer.echo("every op is understood")
