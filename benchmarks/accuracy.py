"""Score the kernel models on the open measurements, and write the tables into docs/accuracy.md.

    python benchmarks/accuracy.py ../shared/measured docs/accuracy.md [kind ...]

Tables of kinds that are not named stay as they are.

Each device is scored three times. Unseen: with the constants of the devices measured next to it in time and
nothing of its host. Data sheet: with the constants of its own architecture, which were fitted to these rows
among others. Calibrated: fitted to 200 random rows on top of the foreign constants, scored on the others.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from measured_tables import load_tables
from numpy.typing import NDArray
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
BEGIN, END = "<!-- written by benchmarks/accuracy.py -->", "<!-- end -->"
SOURCE = Source(title="benchmarks/accuracy.py", date=date.min)


@dataclass(frozen=True)
class Target:
    """What is asked for in percent: of an unseen device, and of a calibrated one."""

    unseen: str
    calibrated: str


TARGETS: Mapping[tuple[KernelKind, str], Target] = {
    ("gemm", "bf16"): Target("15 (other predictors 12 to 28)", "8 (12)"),
    ("gemm", "f32"): Target("9 (13.9)", "10 (20.0)"),
    ("bmm", "f32"): Target("11 (13.8)", "13 (26)"),
    ("elementwise", "f32"): Target("6 (19.3)", "7 (14)"),
    ("softmax", "f32"): Target("8 (13.9)", "9.6 (19.3)"),
    ("layer_norm", "f32"): Target("12 (56.7)", "10 (20.1)"),
    ("conv2d", "f32"): Target("25 (roofline 42 to 54)", "15"),
    ("attention_prefill", "bf16"): Target("(roofline 64 to 82)", "15"),
    ("attention_decode", "bf16"): Target("(roofline 64 to 82)", "15"),
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


def lines(source: str, kind: KernelKind, case: Case) -> Iterator[str]:
    """Yield the line of one device."""
    model = MODELS[kind]
    queries = KernelBatch(kind, case.dtype, case.dims)
    _, *unseen = played_as_unseen(model, case)
    sheet = Ladder(replace(case.device, fitted={}), case.context).price(queries)
    error, inside = _calibrated(model, case)
    foreign = " / ".join(f"{_error(times, case.measured_s):.1f} ({name})" for name, times in unseen)
    covered = np.mean([_coverage(kind, case, times) for _, times in unseen])
    yield (
        f"| {source} | {case.device.name} | {len(case.measured_s):,} "
        f"| {_error(peak_roofline_s(case.device, queries), case.measured_s):.1f} "
        f"| {foreign} | {covered:.0f} "
        f"| {_error(sheet.value_s, case.measured_s):.1f} | {_bias(sheet.value_s, case.measured_s):+.1f} "
        f"| {error:.1f} | {inside:.0f} |"
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


def tables(root: Path, wanted: set[str]) -> dict[str, str]:
    """Return the table of each kind and type by its heading."""
    found: dict[tuple[KernelKind, str], list[str]] = {}
    for source, table in load_tables(root).items():
        for kind, case in table.cases():
            if not wanted or kind in wanted:
                found.setdefault((kind, case.dtype), []).extend(lines(source.split("_")[0], kind, case))
    return {f"{kind}, {dtype}": _table(TARGETS[kind, dtype], each) for (kind, dtype), each in found.items()}


def _table(target: Target, rows: list[str]) -> str:
    head = (
        f"Target (and what others reach): unseen {target.unseen}, calibrated {target.calibrated}.\n",
        "| rows of | device | rows | roofline | unseen (constants of) | in 90% | data sheet | bias "
        "| calibrated | in 90% |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    )
    return "\n".join((*head, *rows))


def main() -> None:
    root, page = map(Path, sys.argv[1:3])
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    old, after = rest.split(END)
    sections = dict(section.strip().split("\n\n", 1) for section in old.split("### ")[1:])
    sections |= tables(root, set(sys.argv[3:]))
    written = "\n\n".join(f"### {title}\n\n{text}" for title, text in sections.items())
    page.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
