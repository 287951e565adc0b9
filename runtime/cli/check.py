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
    import steelyard as sy

    found = sy.check(spec, **choices)
    typer.echo(found)
    if not found.ok:
        typer.echo("describe their work: docs/howto/add-an-op.md", err=True)
        raise typer.Exit(_CHECK_FAILED)
