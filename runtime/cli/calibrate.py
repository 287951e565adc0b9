"""`steelyard calibrate`: write a device file from measurements of this CPU or from a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from steelyard.runtime.cli.progress import progress_bar, warn

if TYPE_CHECKING:
    from steelyard.runtime.api.machine import Calibration

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
    import steelyard as sy
    from steelyard.hw.base.errors import UsageError

    if rows is None and (device or name):
        raise UsageError(what="--device and --name need --from", where="calibrate")
    if rows is not None and (device is None or output is None or threads):
        raise UsageError(what="--from needs --device and -o, and no --threads", where="calibrate")
    output = output or _MEASURED
    with progress_bar() as progress:
        if rows is None or device is None:
            sy.calibrate(threads=threads or (), output=output, progress=progress, warn=warn)
        else:
            _report(sy.calibrate_from(rows, target=device, name=name or "", output=output, progress=progress))
    typer.echo(f"wrote {output}; use it with --device {output}", err=True)


def _report(found: "Calibration") -> None:
    for key, fit in found.fits.items():
        typer.echo(
            f"{' '.join(key)}: {fit.rows} rows, mean error {fit.mean_error:.1%} on rows left out "
            f"({fit.mean_error_before:.1%} before)",
            err=True,
        )
    for key, count in found.too_few.items():
        typer.echo(f"{' '.join(key)}: {count} rows are too few for a fit; left as it is", err=True)
