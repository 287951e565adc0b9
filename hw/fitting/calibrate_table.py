"""Calibrating a device from a table of measured kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.hw.base.errors import DeviceError, UsageError
from steelyard.hw.base.kernel_work import DType, ExecutionContext, ExecutionMode
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Fit
from steelyard.hw.devices.plausible_time import require_possible
from steelyard.hw.fitting.calibrate_kind import FEWEST_ROWS, calibrate_case
from steelyard.hw.fitting.fit_coefficients import Case
from steelyard.hw.kernels.common.dtype_support import require_type
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.analytic_rung import MODELLED
from steelyard.hw.tables.csv_rows import Rows
from steelyard.hw.tables.parse_requests import Request

Key = tuple[str, DType, ExecutionMode]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrated device, what was fitted, and the rows of kinds that have too few of them."""

    device: Device
    fits: dict[Key, Fit]
    too_few: dict[Key, int]


def calibrate_table(
    rows: Rows,
    requests: Sequence[Request],
    measured_s: Floats,
    device: Device,
    source: Source,
    progress: Progress,
) -> Calibration:
    """Fit each kind, type and context of a table that has enough rows; other fits of the device stay.

    Args:
        rows: The table, for the addresses in errors.
        requests: What its rows ask, all of this device.
        measured_s: What was measured of each row.
        device: The device, with its data sheet.
        source: Where the measurements are from.
        progress: Told before each fit, and at the end.

    Raises:
        SteelyardError: No kernel model describes the device, it lacks a unit for a type, or no kind has
            enough rows.
    """
    if device.kind not in MODELLED:
        raise DeviceError(
            what=f"{device.name!r} cannot be calibrated from a table",
            why=f"kernel models describe devices of the kind {' and '.join(MODELLED)}, not {device.kind}",
            fix="`steelyard calibrate` without --from measures this machine's CPU",
        )
    for request in requests:
        with rows.naming(int(request.rows[0]), "dtype"):
            require_type(device, KINDS[request.queries.kind], request.queries.dtype)
    enough = [request for request in requests if len(request.rows) >= FEWEST_ROWS]
    if not enough:
        raise UsageError(
            what="there are too few rows to calibrate from",
            where=rows.name,
            why=f"a fit needs {FEWEST_ROWS} rows of one kind, type and context",
        )
    fits: dict[Key, Fit] = {}
    for done, request in enumerate(enough):
        progress(done, len(enough), " ".join(_key(request)))
        fits[_key(request)] = _fit(rows, request, measured_s, device, source)
    progress(len(enough), len(enough), "")
    too_few = {_key(request): len(request.rows) for request in requests if len(request.rows) < FEWEST_ROWS}
    return Calibration(_with_fits(device, fits), fits, too_few)


def _fit(rows: Rows, request: Request, measured_s: Floats, device: Device, source: Source) -> Fit:
    queries, context = request.queries, ExecutionContext(mode=request.mode)
    case = Case(device, queries.dtype, context, queries.dims, measured_s[request.rows])
    with rows.naming(int(request.rows[0])):
        flops = KINDS[queries.kind].model.counts(queries.dtype, queries.dims).contraction_flops
        require_possible(device, case.measured_s, np.broadcast_to(flops, case.measured_s.shape))
        return calibrate_case(KINDS[queries.kind].model, case, source)


def _with_fits(device: Device, fits: dict[Key, Fit]) -> Device:
    merged = {
        kind: {dtype: dict(modes) for dtype, modes in types.items()} for kind, types in device.fitted.items()
    }
    for (kind, dtype, mode), fit in fits.items():
        merged.setdefault(kind, {}).setdefault(dtype, {})[mode] = fit
    return replace(device, fitted=merged)


def _key(request: Request) -> Key:
    return request.queries.kind, request.queries.dtype, request.mode
