"""`steelyard characterize`: time of a kernel over one size."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import show_progress


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
    from steelyard.hw.base.atomic_file import require_writable
    from steelyard.hw.devices.registry import load_device
    from steelyard.runtime.characterize.format import format_behaviour
    from steelyard.runtime.characterize.plot import plot_behaviour, require_plot
    from steelyard.runtime.characterize.sweep import characterize, find_sweep
    from steelyard.runtime.characterize.times import measured_s, predicted_s
    from steelyard.runtime.timing.host_cpu import cpu_model

    if plot is not None:
        require_writable(plot)  # before a minute is spent
        require_plot(plot)
    found = find_sweep(kind, sweep, _sizes(at or ()), largest)
    if device is None:
        where = cpu_model()
        behaviour = characterize(found, lambda them: measured_s(found.family, them, budget, show_progress))
    else:
        hardware = load_device(device)
        where = hardware.name
        behaviour = characterize(found, lambda them: predicted_s(hardware, found.family, them))
    if plot is not None:
        plot_behaviour(behaviour, where, plot)
        typer.echo(f"wrote {plot}", err=True)
    typer.echo(format_behaviour(behaviour, where, style))


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
