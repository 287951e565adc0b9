"""`steelyard learn`: learn kernel regressors on this machine, into a device file."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from steelyard.runtime.cli.progress import show_progress


def learn(
    output: Annotated[Path, Option("-o", help="Device file to write; may be that of --device.")],
    device: Annotated[str, Option(help="This machine's CPU: cpu, or a file from `calibrate`.")] = "cpu",
    kinds: Annotated[
        list[str] | None, Option("--kind", help="Learn only this kind of kernel; repeatable; all by default.")
    ] = None,
    budget: Annotated[float, Option(min=1.0, help="Time budget in seconds.")] = 170.0,
    style: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Learn kernel times on this machine's CPU and print the accuracy on held-out kernels.

    steelyard learn --device local-cpu.toml -o local-cpu.toml
    """
    from steelyard.hw.base.atomic_file import require_writable
    from steelyard.hw.devices.registry import load_device
    from steelyard.hw.devices.write import write_device
    from steelyard.runtime.learn.fit import require_scikit_learn
    from steelyard.runtime.learn.format import format_learned
    from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES, family_named
    from steelyard.runtime.learn.this_machine import learn_here

    require_writable(output)  # before minutes are spent
    require_scikit_learn()
    families = [family_named(name) for name in dict.fromkeys(kinds or KERNEL_FAMILIES)]
    learned = {}
    for family, known, found in learn_here(load_device(device), families, budget, show_progress, _warn):
        write_device(output, known)
        learned[family.name] = found
    typer.echo(f"\nwrote {output}; use it with --device {output}", err=True)
    typer.echo(format_learned(learned, style))


def _warn(text: str) -> None:
    typer.echo(f"\nwarning: {text}", err=True)
