"""Calibration of a device from a table of measured kernels."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.registry import load_device
from steelyard.hw.fitting.calibrate_table import Calibration, calibrate_table
from steelyard.hw.tables.csv_rows import Rows
from steelyard.hw.tables.parse_requests import Request, parse_requests
from steelyard.runtime.predict.predict import measured_column, read_rows

LATENCY = "latency_ms"


def calibrate_from(path: str, base: str, name: str, progress: Progress) -> Calibration:
    """Fit the kernel models to a table that `predict` reads, with measured times in `latency_ms`.

    Args:
        path: A CSV file, or "-" for stdin.
        base: The device that the rows were measured on, by name or file; rows that name another are left out.
        name: Name of the calibrated device.
        progress: Told before each fit, and at the end.

    Raises:
        SteelyardError: The table makes no sense, or has too few rows of the device.
    """
    rows = read_rows(path)
    measured_s = measured_column(rows, LATENCY)
    device = load_device(base)
    named = device.name in rows.column("device") if "device" in rows.header else False
    requests = _of_device(rows, parse_requests(rows, device.name if named else base), {base, device.name})
    count = sum(len(request.rows) for request in requests)
    source = Source(title=f"{Path(rows.name).name}, {count} rows", date=date.today())
    found = calibrate_table(rows, requests, measured_s, device, source, progress)
    return replace(found, device=replace(found.device, name=name))


def _of_device(rows: Rows, requests: list[Request], names: set[str]) -> list[Request]:
    own = [request for request in requests if request.device in names]
    if not own:
        others = sorted({request.device for request in requests})
        raise UsageError(
            what=f"no row is of the device {' or '.join(map(repr, sorted(names)))}",
            where=rows.name,
            why=f"the column 'device' names {', '.join(map(repr, others))}",
            fix="choose one of them with --device, or leave the column out",
        )
    return own
