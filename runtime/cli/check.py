"""`steelyard check`: which ops of a model are not understood."""

import typer

from steelyard.runtime.cli import options as given

_CHECK_FAILED = 1


def check(
    spec: given.Spec,
    train: given.Train = False,
    batch: given.Batch = None,
    sequence: given.Sequence = None,
    image_size: given.ImageSize = None,
) -> None:
    """List the ops whose work is not known, with the source lines they come from."""
    from steelyard.runtime.pipeline import load_program
    from steelyard.runtime.unknown_ops import find_unknown

    choices = {"train": train, "batch": batch, "sequence": sequence, "image_size": image_size}
    found = find_unknown(load_program(spec, choices))
    for op in found:
        typer.echo(f"{op.name}  {op.count} ops  first at {op.where}")
    if found:
        typer.echo("say what work they do: docs/howto/add-an-op.md", err=True)
        raise typer.Exit(_CHECK_FAILED)
    typer.echo("every op is understood")
