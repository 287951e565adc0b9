"""Score the kernel models on the open measurements.

    python benchmarks/accuracy.py ../shared/measured [kind ...]

Each device is scored three times. Unseen: with the constants of the devices measured next to it in time and
nothing of its host. Data sheet: with the constants of its own architecture, which were fitted to these rows
among others. Calibrated: fitted to 200 random rows on top of the foreign constants, scored on the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from measured_tables import load_tables
from numpy.typing import NDArray
from report import Cell, Report, arguments
from unseen import neighbours, played_as_unseen

from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.device import Device
from steelyard.hw.fitting.calibrate_kind import calibrate_case
from steelyard.hw.fitting.fit_coefficients import Case
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate, KernelModel
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelBatch, KernelKind
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.intervals import analytic_spread
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.roofline_rung import peak_roofline_s

CALIBRATION_ROWS = 200
COLUMNS = {
    "kind": "",
    "dtype": "",
    "rows of": "",
    "device": "",
    "rows": ",",
    "roofline": ".1f",
    "unseen (constants of)": "",
    "target": ".3g",
    "in 90%": ".0f",
    "data sheet": ".1f",
    "bias": "+.1f",
    "calibrated": ".1f",
    "calibrated target": ".3g",
    "calibrated in 90%": ".0f",
}
ABOUT = (
    "Kernel models on published measurements (NeuSight: f32, eager; aiconfigurator: bf16, CUDA graphs; "
    "DeepBench: f32, launches in a row). Mean absolute errors in percent. Roofline: the longer of arithmetic "
    "and traffic at the peaks of the data sheet. Unseen: with the constants of the architectures before and "
    "after the device's own, and nothing known of its host. Data sheet: with the constants of its own "
    "architecture, fitted to these rows among others (not DeepBench's). Calibrated: fitted to 200 random "
    "rows on top of foreign constants, scored on the others. In 90%: rows inside the 90% interval."
)
SOURCE = Source(title="benchmarks/accuracy.py", date=date.min)


@dataclass(frozen=True)
class Target:
    """Errors asked for, in percent: of an unseen device, and of a calibrated one."""

    unseen: float | None
    calibrated: float


TARGETS: Mapping[tuple[KernelKind, str], Target] = {
    ("gemm", "bf16"): Target(15, 8),
    ("gemm", "f32"): Target(9, 10),
    ("bmm", "f32"): Target(11, 13),
    ("elementwise", "f32"): Target(6, 7),
    ("softmax", "f32"): Target(8, 9.6),
    ("layer_norm", "f32"): Target(12, 10),
    ("conv2d", "f32"): Target(25, 15),
    ("attention_prefill", "bf16"): Target(None, 15),
    ("attention_decode", "bf16"): Target(None, 15),
}


@dataclass(frozen=True)
class _Foreign:
    """A model whose family is another architecture, as for a device of a new one."""

    model: KernelModel

    @property
    def kind(self) -> KernelKind:
        return self.model.kind

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        return self.model.coefficients(neighbours(device, dtype)[0], dtype)

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        return self.model.counts(dtype, dims)

    def estimate(
        self,
        device: Device,
        dtype: DType,
        context: ExecutionContext,
        dims: Mapping[str, Column],
        coefficients: Coefficients,
    ) -> Estimate:
        return self.model.estimate(device, dtype, context, dims, coefficients)


def row(source: str, kind: KernelKind, case: Case) -> tuple[Cell, ...]:
    """Return the row of one device."""
    model = MODELS[kind]
    queries = KernelBatch(kind, case.dtype, case.dims)
    _, *unseen = played_as_unseen(model, case)
    sheet = Ladder(replace(case.device, fitted={}), case.context).price(queries)
    error, inside = _calibrated(model, case)
    foreign = " / ".join(f"{_error(times, case.measured_s):.1f} ({name})" for name, times in unseen)
    target = TARGETS[kind, case.dtype]
    return (
        kind,
        case.dtype,
        source,
        case.device.name,
        len(case.measured_s),
        _error(peak_roofline_s(case.device, queries), case.measured_s),
        foreign,
        target.unseen,
        float(np.mean([_coverage(kind, case, times) for _, times in unseen])),
        _error(sheet.value_s, case.measured_s),
        _bias(sheet.value_s, case.measured_s),
        error,
        target.calibrated,
        inside,
    )


def _calibrated(model: KernelModel, case: Case) -> tuple[float, float]:
    """Return error and coverage in percent of rows that a calibration has not seen."""
    rows = np.random.default_rng(0).permutation(len(case.measured_s))
    most = min(CALIBRATION_ROWS, len(rows) // 2)
    fit = calibrate_case(_Foreign(model), case.take(rows[:most]), SOURCE)
    rest = case.take(rows[most:])
    fitted = {model.kind: {case.dtype: {case.context.mode: fit}}}
    prices = Ladder(replace(case.device, fitted=fitted), case.context).price(
        KernelBatch(model.kind, case.dtype, rest.dims)
    )
    inside = (prices.low_s <= rest.measured_s) & (rest.measured_s <= prices.high_s)
    return _error(prices.value_s, rest.measured_s), _percent(inside)


def _coverage(kind: KernelKind, case: Case, predicted_s: Floats) -> float:
    low_s, high_s = analytic_spread(kind, case.dtype).interval(predicted_s, np.zeros_like(predicted_s))
    return _percent((low_s <= case.measured_s) & (case.measured_s <= high_s))


def _percent(inside: NDArray[np.bool_]) -> float:
    return 100 * float(inside.mean())


def _error(predicted_s: Floats, measured_s: Floats) -> float:
    return 100 * float(np.abs(predicted_s / measured_s - 1).mean())


def _bias(predicted_s: Floats, measured_s: Floats) -> float:
    return 100 * float((predicted_s / measured_s - 1).mean())


def main() -> None:
    root, *wanted = arguments()
    cases = [
        (source.split("_")[0], kind, case)
        for source, table in load_tables(Path(root)).items()
        for kind, case in table.cases()
        if not wanted or kind in wanted
    ]
    places = [*TARGETS]
    report = Report("kernels", "Kernels", ABOUT, COLUMNS)
    met = 0
    for each in sorted(cases, key=lambda each: places.index((each[1], each[2].dtype))):
        found = dict(zip(COLUMNS, row(*each), strict=True))
        report.add(*found.values())
        met += found["calibrated"] <= found["calibrated target"]
    report.finish(f"{met} of {len(cases)} devices and kinds within the target of a calibrated device")


if __name__ == "__main__":
    main()
