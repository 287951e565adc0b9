"""The bar that shows how far a verb is."""

import typer


def show_progress(done: int, total: int, label: str) -> None:
    """Show on stderr how many of all steps are done, and which is next."""
    bar = "#" * (30 * done // total)
    typer.echo(f"\r[{bar:<30}] {done}/{total} {label:<40}", err=True, nl=done == total)
