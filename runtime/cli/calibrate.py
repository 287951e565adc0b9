"""`steelyard calibrate`: write a device file from measurements of this CPU or from a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from steelyard.runtime.cli.progress import show_progress

if TYPE_CHECKING:
    from steelyard.hw.devices.device import Device

_MEASURED = Path("local-cpu.toml")


def calibrate(
    output: Annotated[
        Path | None,
        Option("-o", help="Device file to write; local-cpu.toml by default, if this CPU is measured."),
    ] = None,
    threads: Annotated[list[int] | None, Option(min=1, help="Thread count to measure; repeatable.")] = None,
    rows: Annotated[
        str | None,
        Option("--from", help="Fit to this CSV of kernels with latency_ms instead; - for stdin."),
    ] = None,
    device: Annotated[str | None, Option(help="With --from: the measured device.")] = None,
    name: Annotated[
        str | None, Option(help="With --from: name of the new device; the file's name by default.")
    ] = None,
) -> None:
    """Measure this machine's CPU in under two minutes, or fit a device to a table of measurements.

    steelyard calibrate --from rows.csv --device h100-sxm -o my-h100.toml
    """
    from steelyard.hw.base.atomic_file import require_writable
    from steelyard.hw.base.errors import UsageError
    from steelyard.hw.devices.write import write_device

    if rows is None and (device or name):
        raise UsageError(what="--device and --name need --from", where="calibrate")
    if rows is not None and (device is None or output is None or threads):
        raise UsageError(what="--from needs --device and -o, and no --threads", where="calibrate")
    output = output or _MEASURED
    require_writable(output)  # before minutes are spent
    if rows is not None and device is not None:
        found = _fit(rows, device, name or output.stem)
    else:
        from steelyard.runtime.calibrate.cpu import calibrate as measure

        found = measure(
            tuple(threads) if threads else None,
            show_progress,
            warn=lambda text: typer.echo(f"\nwarning: {text}", err=True),
        )
    write_device(output, found)
    typer.echo(f"wrote {output}; use it with --device {output}", err=True)


def _fit(rows: str, device: str, name: str) -> "Device":
    from steelyard.runtime.calibrate.from_table import calibrate_from

    found = calibrate_from(rows, device, name, show_progress)
    for key, fit in found.fits.items():
        typer.echo(
            f"{' '.join(key)}: {fit.rows} rows, mean error {fit.mean_error:.1%} on rows left out "
            f"({fit.mean_error_before:.1%} before)",
            err=True,
        )
    for key, count in found.too_few.items():
        typer.echo(f"{' '.join(key)}: {count} rows are too few for a fit; left as it is", err=True)
    return found.device
