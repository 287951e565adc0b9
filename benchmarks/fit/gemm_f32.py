"""Fit the constants of products on vector lanes, and write hw/kernels/gemm_simt.toml and bmm_simt.toml.

    python benchmarks/fit/gemm_f32.py ../shared/measured

Least squares on log ratios with a robust loss, all constants positive; deterministic. Prints how well each
fit does on rows, and on a device, that it has not seen. hw/power.toml is fitted before, on other data.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from gemm_f32_rows import Case, deepbench_cases, model_cases, random_cases
from numpy.typing import NDArray
from scipy.optimize import least_squares

import steelyard.hw.kernels
from steelyard.hw.kernels.gemm_simt import SimtGemm
from steelyard.hw.kernels.overhead import call_coefficients

FAMILIES = {
    "p100-pcie": "sm60",
    "p4": "sm61",
    "v100-pcie-32gb": "sm70",
    "t4": "sm75",
    "a100-40gb-pcie": "sm80",
}
COMMON = {
    "cycles_per_step": 1.0,
    "operand_load_cycles": 1.0,
    "prologue_steps": 10.0,
    "lone_tiles": 0.1,
    "power_fraction": 0.85,
    "memory_fraction": 0.7,
    "operand_fraction": 0.5,
    "cache_fraction": 0.5,
    "lead_fraction": 0.7,
}
START = {
    "gemm": COMMON | {"far_exponent": 0.05, "long_row_cycles": 0.2, "split_s": 3e-6},
    "bmm": COMMON,
}
MEANT = {"gemm": "linear layers with a bias", "bmm": "batched products"}

LOSS_SCALE = 0.1
"""Log ratios above this count linearly: cuBLAS chose another kernel, or the clock was another."""

LARGEST = {
    "power_fraction": 1.0,
    "memory_fraction": 0.95,
    "operand_fraction": 0.95,
    "cache_fraction": 1.0,
    "lead_fraction": 1.0,
}
LEAST = {"power_fraction": 0.5}

NEAREST = {
    "p100-pcie": "p4",
    "p4": "p100-pcie",
    "v100-pcie-32gb": "a100-40gb-pcie",
    "t4": "v100-pcie-32gb",
    "a100-40gb-pcie": "v100-pcie-32gb",
}
"""The device whose generation is next to another's, as that of A100 is to an unseen one."""

PULL = 1.0
"""Weight of a constant's log distance from its start, in rows: it holds what the rows do not tell apart."""

GDDR = ("sm86", "sm89", "sm120")
"""What was measured with A100's instructions has HBM; those of its successors with GDDR have T4's memory."""

CALIBRATION_ROWS = 200
CALIBRATION_PULL = 2.0

_MARGIN = 0.01
_TINY = 1e-12


def main() -> None:
    root = Path(sys.argv[1])
    for kind in START:
        _fit_kind(root, kind)


def _fit_kind(root: Path, kind: str) -> None:
    cases = {case.device.name: case for case in random_cases(root, kind)}
    own = {name: _fit([case], START[kind]) for name, case in cases.items()}
    notes: list[str] = []
    for name, case in cases.items():
        notes.append(_score(f"{name}, its own constants", case, own[name]))
        half, rest = case.split(len(case) // 2)
        notes.append(_score(f"{name}, fitted to the other half", rest, _fit([half], START[kind])))
        others = _fit([each for other, each in cases.items() if other != name], START[kind])
        notes.append(_score(f"{name}, the other devices' constants", case, others))
        near = NEAREST[name]
        notes.append(_score(f"{name}, the constants of {near}", case, own[near]))
        few, rest = case.split(CALIBRATION_ROWS)
        title = f"{name}, these fitted to {CALIBRATION_ROWS} rows"
        notes.append(_score(title, rest, _fit([few], own[near], CALIBRATION_PULL)))
    for case in model_cases(root, kind):
        notes.append(_score(f"{case.device.name}, layers of whole models", case, own[case.device.name]))
    for case in deepbench_cases(root, kind):
        family = "p100-pcie" if "p100" in case.device.name else "v100-pcie-32gb"
        notes.append(_score(f"{case.device.name}, DeepBench, the constants of {family}", case, own[family]))
    print(f"{kind}:", *notes, sep="\n")
    _write(kind, {FAMILIES[name]: found for name, found in own.items()}, notes)


def _fit(cases: Sequence[Case], start: Mapping[str, float], pull: float = PULL) -> dict[str, float]:
    names = list(start)
    origin = np.log([start[name] for name in names])
    largest = np.log([LARGEST.get(name, np.inf) for name in names])
    least = np.log([LEAST.get(name, _TINY) for name in names])
    fewest = min(len(case) for case in cases)

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        coefficients = dict(zip(names, np.exp(logs).tolist(), strict=True))
        # Each device weighs alike.
        parts = [
            np.log(_seconds(case, coefficients) / case.measured_s) * np.sqrt(fewest / len(case))
            for case in cases
        ]
        return np.concatenate([*parts, pull * (logs - origin)])

    solved = least_squares(
        residuals,
        np.minimum(origin, largest - _MARGIN),
        bounds=(least, largest),
        loss="soft_l1",
        f_scale=LOSS_SCALE,
        diff_step=0.01,
        max_nfev=60,
    )
    return {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(solved.x), strict=True)}


def _seconds(case: Case, coefficients: Mapping[str, float]) -> NDArray[np.float64]:
    whole = {**call_coefficients(case.device), **coefficients}
    return SimtGemm(case.kind).estimate(case.device, "f32", case.context, case.dims, whole).seconds


def _score(title: str, case: Case, coefficients: Mapping[str, float]) -> str:
    error = _seconds(case, coefficients) / case.measured_s - 1
    mape, median, bias = 100 * np.mean(abs(error)), 100 * np.median(abs(error)), 100 * np.median(error)
    return f"{title}: {len(case)} rows, MAPE {mape:.1f} %, median {median:.1f} %, bias {bias:+.1f} %"


def _write(kind: str, families: Mapping[str, Mapping[str, float]], notes: Sequence[str]) -> None:
    lines = [
        f"# f32 {MEANT[kind]} on vector lanes; hw/kernels/gemm_simt.py says what each constant means.",
        "# Written by benchmarks/fit/gemm_f32.py. Bias is that of the median row.",
        *(f"# {note}" for note in notes),
    ]
    memory = {name: families["sm75"][name] for name in ("memory_fraction", "operand_fraction")}
    unseen = {family: {**families["sm80"], **memory} for family in GDDR[:1]}
    for family, coefficients in {**families, **unseen}.items():
        lines += ["", f"[f32.{family}]", *(f"{name} = {value}" for name, value in coefficients.items())]
    for family in GDDR[1:]:
        lines += ["", f"[f32.{family}]", f'like = "{GDDR[0]}"']
    lines += [
        "",
        "[f32.any]",
        'like = "sm80"',
        "",
        "[sources]",
        f'rows = "train_{"linear" if kind == "gemm" else "bmm"}, github.com/sitar-lab/NeuSight at 6945927"',
    ]
    path = Path(steelyard.hw.kernels.__file__).parent / f"{kind}_simt.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
