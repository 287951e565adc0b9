"""`steelyard calibrate`: measure this machine's CPU into a device file."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option


def calibrate(
    output: Annotated[Path, Option("-o", help="The device file to write.")] = Path("local-cpu.toml"),
    threads: Annotated[list[int] | None, Option(min=1, help="Threads to measure; repeatable.")] = None,
) -> None:
    """Measure this machine's CPU into a device file, in under two minutes."""
    from steelyard.hw.device_file import write_device
    from steelyard.hw.errors import UsageError
    from steelyard.runtime.calibrate import calibrate as measure

    if not output.absolute().parent.is_dir():  # before minutes are spent
        raise UsageError(what=f"the folder of {output} does not exist", where="-o")
    device = measure(tuple(threads) if threads else None, _show)
    write_device(output, device)
    typer.echo(f"wrote {output}; use it with --device {output}", err=True)


def _show(done: int, total: int, label: str) -> None:
    bar = "#" * (30 * done // total)
    typer.echo(f"\r[{bar:<30}] {done}/{total} {label:<40}", err=True, nl=done == total)
