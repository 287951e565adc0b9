"""`steelyard characterize`: time of a kernel over one size."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import progress_bar


def characterize(
    kind: Annotated[Literal["conv2d", "depthwise_conv2d", "gemm"], Option(help="Kind of kernel.")] = "conv2d",
    sweep: Annotated[Literal["channels", "kernel", "batch"], Option(help="Size that varies.")] = "channels",
    at: Annotated[
        list[str] | None,
        Option(help="Value of another dim, such as n=32; repeatable; a small layer by default."),
    ] = None,
    largest: Annotated[int | None, Option(min=4, help="Largest size of the sweep.")] = None,
    device: Annotated[
        str | None, Option(help="Predict for this device; by default this machine's CPU is measured.")
    ] = None,
    budget: Annotated[
        float | None, Option(min=1.0, help="Time budget of a measurement in seconds; 60 by default.")
    ] = None,
    plot: Annotated[Path | None, Option(help="Write a plot to this .png, .svg or .pdf file.")] = None,
    style: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Time a kernel over a range of sizes and find steps in its time.

    steelyard characterize --kind conv2d --sweep channels --plot steps.png
    """
    import steelyard as sy

    with progress_bar() as progress:
        behaviour = sy.characterize(
            kind,
            sweep=sweep,
            at=_sizes(at or ()),
            largest=largest,
            target=device,
            budget_s=budget,
            plot=plot,
            progress=progress,
        )
    if plot is not None:
        typer.echo(f"wrote {plot}", err=True)
    typer.echo(behaviour.to_text(style))


def _sizes(given: list[str] | tuple[str, ...]) -> dict[str, int]:
    from steelyard.hw.base.errors import UsageError

    sizes: dict[str, int] = {}
    for text in given:
        name, _, size = text.partition("=")
        if not size.isdecimal() or int(size) < 1:
            raise UsageError(
                what=f"{text!r} is not the size of a dim", where="--at", fix="write it as in n=32"
            )
        sizes[name] = int(size)
    return sizes
