"""Progress bar of a verb."""

import typer


def show_progress(done: int, total: int, label: str) -> None:
    """Show the steps done and the next one on stderr."""
    bar = "#" * (30 * done // total)
    typer.echo(f"\r[{bar:<30}] {done}/{total} {label:<40}", err=True, nl=done == total)
