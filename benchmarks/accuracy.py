"""Score the kernel models on the open measurements, as the Markdown tables of docs/accuracy.md.

    python benchmarks/accuracy.py ../shared/measured [kind ...] > tables.md

Each device is scored three times. Unseen: with the constants of the architectures measured next to it and
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
from unseen import GENERATIONS, played_as_unseen

from steelyard.hw.kernels.calibration import calibrate_case
from steelyard.hw.kernels.fit import Case
from steelyard.hw.kernels.intervals import analytic_spread
from steelyard.hw.kernels.ladder import Ladder
from steelyard.hw.kernels.model import Coefficients, KernelModel
from steelyard.hw.kernels.models import MODELS
from steelyard.hw.kernels.query import Floats, KernelKind, Queries
from steelyard.hw.kernels.roofline_rows import peak_roofline_s
from steelyard.hw.quantity import Source

CALIBRATION_ROWS = 200
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
    architecture: str

    @property
    def kind(self) -> KernelKind:
        return self.model.kind

    def coefficients(self, device, dtype) -> Coefficients:
        return self.model.coefficients(replace(device, architecture=self.architecture), dtype)

    def __getattr__(self, name: str):
        return getattr(self.model, name)


def lines(source: str, kind: KernelKind, case: Case) -> Iterator[str]:
    """Yield the line of one device."""
    model = MODELS[kind]
    queries = Queries(kind, case.dtype, case.dims)
    unseen = dict(played_as_unseen(model, case))
    unseen.pop(case.device.architecture)
    sheet = Ladder(replace(case.device, fitted={}), case.context).price(queries)
    error, inside = _calibrated(model, case)
    foreign = " / ".join(f"{_error(times, case.measured_s):.1f} ({name})" for name, times in unseen.items())
    covered = np.mean([_coverage(kind, case, times) for times in unseen.values()])
    yield (
        f"| {source} | {case.device.name} | {len(case.measured_s):,} "
        f"| {_error(peak_roofline_s(case.device, queries), case.measured_s):.1f} "
        f"| {foreign} | {covered:.0f} "
        f"| {_error(sheet.value_s, case.measured_s):.1f} | {_bias(sheet.value_s, case.measured_s):+.1f} "
        f"| {error:.1f} | {inside:.0f} |"
    )


def _calibrated(model: KernelModel, case: Case) -> tuple[float, float]:
    """Return error and coverage in percent of rows that a calibration has not seen."""
    names = GENERATIONS[case.dtype]
    own = names.index(case.device.architecture)
    foreign = _Foreign(model, names[own - 1] if own else names[1])
    rows = np.random.default_rng(0).permutation(len(case.measured_s))
    most = min(CALIBRATION_ROWS, len(rows) // 2)
    fit = calibrate_case(foreign, case.take(rows[:most]), SOURCE)
    rest = case.take(rows[most:])
    fitted = {model.kind: {case.dtype: {case.context.mode: fit}}}
    prices = Ladder(replace(case.device, fitted=fitted), case.context).price(
        Queries(model.kind, case.dtype, rest.dims)
    )
    inside = (prices.low_s <= rest.measured_s) & (rest.measured_s <= prices.high_s)
    return _error(prices.value_s, rest.measured_s), _percent(inside)


def _coverage(kind: KernelKind, case: Case, predicted_s: Floats) -> float:
    low_s, high_s = analytic_spread(kind, case.dtype).around(predicted_s, np.zeros_like(predicted_s))
    return _percent((low_s <= case.measured_s) & (case.measured_s <= high_s))


def _percent(inside: NDArray[np.bool_]) -> float:
    return 100 * float(inside.mean())


def _error(predicted_s: Floats, measured_s: Floats) -> float:
    return 100 * float(np.abs(predicted_s / measured_s - 1).mean())


def _bias(predicted_s: Floats, measured_s: Floats) -> float:
    return 100 * float((predicted_s / measured_s - 1).mean())


def main() -> None:
    wanted = sys.argv[2:]
    found: dict[tuple[KernelKind, str], list[str]] = {}
    for source, table in load_tables(Path(sys.argv[1])).items():
        for kind, case in table.cases():
            if not wanted or kind in wanted:
                found.setdefault((kind, case.dtype), []).extend(lines(source.split("_")[0], kind, case))
    for (kind, dtype), each in found.items():
        target = TARGETS[kind, dtype]
        print(f"\n### {kind}, {dtype}\n")
        print(
            f"Mean absolute error in percent. Target (and others): unseen {target.unseen}, "
            f"calibrated {target.calibrated}.\n"
        )
        print(
            "| rows of | device | rows | roofline | unseen (constants of) | in 90% | data sheet | bias "
            "| calibrated | in 90% |"
        )
        print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        print("\n".join(each))


if __name__ == "__main__":
    main()
