"""Progress bar of a verb, on stderr; silent where that is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from steelyard.hw.base.progress import Progress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar while a verb runs; what it gives is told of each step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, label: bar.update(task, completed=done, total=total, description=label)


def warn(text: str) -> None:
    """Say on stderr what makes a measurement less sure."""
    typer.echo(f"warning: {text}", err=True)
