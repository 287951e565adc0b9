"""Fit the kernel models to each device of the open measurements, and write the fits into hw/devices.

    python benchmarks/fit_devices.py ../shared/measured [device ...] [kind ...]

Where kinds are named, the fits of others stay. Only coefficients are written, no residual between calibration
points: a device that ships shall get slower, never faster, when a dim grows. Run it again whenever a model
gets other coefficients.
"""

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

from measured_tables import Table, load_tables

import steelyard.hw.devices
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.write import write_device
from steelyard.hw.fitting.calibrate_kind import FEWEST_ROWS, calibrate_case
from steelyard.hw.kernels.registry import KINDS

SOURCES = {
    "neusight": Source(
        title="Fits to NeuSight's measurements, 6945927",
        url="https://github.com/sitar-lab/NeuSight/tree/6945927/scripts/asplos",
        date=date(2026, 11, 24),
    ),
    "aiconfigurator": Source(
        title="Fits to the measurements of NVIDIA aiconfigurator, 095f58a",
        url="https://github.com/ai-dynamo/aiconfigurator/tree/095f58a",
        date=date(2026, 11, 24),
    ),
    "deepbench": Source(
        title="Fits to Baidu DeepBench's results",
        url="https://github.com/baidu-research/DeepBench",
        date=date(2026, 11, 24),
    ),
}

PRODUCTS_WORTH = 0.9
"""The part of the family's error that a device's own coefficients of f32 products may leave. The little that
others explain is how hot the board was in the sweep (T4), and cycles or power can stand for that alike."""


def fitted(device: Device, tables: dict[str, Table], kinds: list[str]) -> Device:
    """Return the device with the fits of some kinds, or of all, in place of those that it had."""
    fits = {kind: {} if kind in kinds else fit for kind, fit in device.fitted.items()} if kinds else {}
    for name, table in tables.items():
        for kind, case in table.cases():
            if case.device.name != device.name or len(case.measured_s) < FEWEST_ROWS:
                continue
            if kinds and kind not in kinds:
                continue
            worth = PRODUCTS_WORTH if (kind, case.dtype) in (("gemm", "f32"), ("bmm", "f32")) else 1.0
            source = SOURCES[name.split("_")[0]]
            fit = calibrate_case(KINDS[kind].model, case, source, most_points=0, worth=worth)
            fits.setdefault(kind, {}).setdefault(case.dtype, {})[case.context.mode] = fit
            print(
                f"{device.name:18}{kind:18}{case.dtype:5}{case.context.mode:6}{fit.rows:7,} rows  family "
                f"{fit.mean_error_before:6.1%}  fitted, rows left out {fit.mean_error:6.1%}",
                flush=True,
            )
    return replace(device, fitted=fits)


def main() -> None:
    tables = load_tables(Path(sys.argv[1]))
    measured = {case.device.name for table in tables.values() for _, case in table.cases()}
    folder = Path(steelyard.hw.devices.__file__).parent
    kinds = [word for word in sys.argv[2:] if word in KINDS]
    for name in [word for word in sys.argv[2:] if word not in KINDS] or sorted(measured):
        write_device(folder / f"{name}.toml", fitted(load_device(name), tables, kinds))


if __name__ == "__main__":
    main()
