"""Fit the energies of arithmetic to published rates of products.

Writes hw/kernels/common/power.toml.

    python benchmarks/fit/power.py

The rates are those that owners of the devices have reported for square products of 8192 and 10240 (or the
largest of any size, where only that is known). They say nothing of the devices that are not power-limited but
a least energy, so that every energy is pulled a little to a start. Deterministic.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import steelyard.hw.kernels.common
from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.hw.devices.nvidia_sm import fma_fraction
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.power import ArithmeticUnit, sustained_fraction

# TFLOP/s, from github.com/zzc0721/torch-performance-test-data: issues 9, 79, 95, 104, 108, 120, 126, 140,
# 160, 177, 185 and database.md at 0785868; PyTorch 2.0 to 2.11, 2024-26.
VECTOR: dict[str, float] = {
    "p4": 4.1,
    "p100-pcie": 8.6,
    "v100-sxm2-16gb": 14.45,
    "t4": 4.3,
    "a100-40gb-pcie": 17.1,
    "a100-80gb-sxm": 19.2,
    "a10g": 22.8,
    "a40": 23.3,
    "rtx-3090": 24.8,
    "l4": 10.9,
    "l40s": 46.9,
    "rtx-4090": 52.4,
    "h100-pcie": 36.4,
    "h100-sxm": 50.7,
    "h200-sxm": 51.3,
    "b200-sxm": 66.2,
    "rtx-pro-6000": 72.0,
}
MATRIX: dict[str, float] = {
    "a100-40gb-pcie": 213,
    "a100-80gb-sxm": 264,
    "a40": 116,
    "a10g": 68,
    "l4": 58,
    "l40s": 269,
    "rtx-4090": 159,
    "h100-pcie": 482,
    "h100-sxm": 759,
    "h200-sxm": 790,
    "b200-sxm": 1696,
    "rtx-pro-6000": 375,
    "t4": 42.3,
    "v100-sxm2-16gb": 93,
}

START: dict[str, float] = {
    "voltage_floor_fraction": 0.75,
    "matrix_fraction": 0.88,
    "vector.16nm": 17,
    "vector.7nm": 13,
    "vector.8nm": 9,
    "vector.5nm": 7,
    "vector.4nm": 7,
    "vector.4np": 7,
    "vector.4n-rtx": 7,
    "matrix.16nm": 2.0,
    "matrix.7nm": 1.1,
    "matrix.8nm": 1.1,
    "matrix.5nm": 1.1,
    "matrix.4nm": 0.75,
    "matrix.4np": 0.6,
    "matrix.4n-rtx": 1.1,
}
POWER_FRACTION = 0.85
"""What memory, fan, regulators and leakage leave: idle boards with their clocks up draw 10 to 20 % of the
limit (A100 SXM 60 of 400 W, H100 SXM 110 of 700 W by nvidia-smi)."""

VECTOR_FRACTION = 0.97
"""Of the rate of its main loop that a product of 10240 reaches, tiles and waves counted."""

PULL = 0.1
LOSS_SCALE = 0.05

NODES = {
    "3.7": "28nm",
    "5.2": "28nm",
    "6.0": "16nm",
    "6.1": "16nm",
    "6.2": "16nm",
    "7.0": "16nm",
    "7.5": "16nm",
    "8.0": "7nm",
    "8.6": "8nm",
    "8.9": "5nm",
    "9.0": "4nm",
    "10.0": "4np",
    "12.0": "4n-rtx",
}


def main() -> None:
    names = list(START)
    everyone = [("vector", name) for name in VECTOR] + [("matrix", name) for name in MATRIX]
    found = _fit(names, everyone)
    notes: list[str] = []
    for unit, name in everyone:
        held_out = _fit(names, [each for each in everyone if each[1] != name])
        measured = (VECTOR if unit == "vector" else MATRIX)[name]
        own, unseen = _tflops(found, unit, name), _tflops(held_out, unit, name)
        notes.append(f"{name}, {unit}: {measured} TFLOP/s, fitted {own:.1f}, without its rows {unseen:.1f}")
    print(*notes, sep="\n")
    _write(found, notes)


def _fit(names: list[str], anchors: list[tuple[str, str]]) -> dict[str, float]:
    origin = np.log([START[name] for name in names])

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        values = dict(zip(names, np.exp(logs).tolist(), strict=True))
        ratios = [
            np.log(_tflops(values, unit, name) / (VECTOR if unit == "vector" else MATRIX)[name])
            for unit, name in anchors
        ]
        return np.array([*ratios, *(PULL * (logs - origin))])

    upper = np.log([0.95 if name.endswith("_fraction") else np.inf for name in names])
    solved = least_squares(
        residuals, origin, bounds=(-np.inf, upper), loss="soft_l1", f_scale=LOSS_SCALE, diff_step=0.01
    )
    return {name: float(f"{value:.3g}") for name, value in zip(names, np.exp(solved.x), strict=True)}


def _tflops(values: Mapping[str, float], unit: str, name: str) -> float:
    device = load_device(name)
    peaks = device.vector_peak_flops_per_s if unit == "vector" else device.matrix_peak_flops_per_s
    dtype: PeakDType = "f32" if unit == "vector" else "bf16" if "bf16" in peaks else "f16"
    busy = VECTOR_FRACTION * fma_fraction(device) if unit == "vector" else values["matrix_fraction"]
    which: ArithmeticUnit = "vector" if unit == "vector" else "matrix"
    return peaks[dtype].value * busy * sustained_fraction(device, dtype, which, table=_table(values)) * 1e-12


def _table(values: Mapping[str, float]) -> dict[str, Any]:
    units: dict[str, Any] = {"vector": {}, "matrix": {}}
    for name, value in values.items():
        unit, _, node = name.partition(".")
        if node:
            units[unit][node] = {"f32": value} if unit == "vector" else _matrix_energies(value)
    fractions = {name: value for name, value in values.items() if "." not in name}
    return {"power_fraction": POWER_FRACTION, **fractions, "node": NODES, **units}


def _matrix_energies(value: float) -> dict[str, float]:
    # f8 is not fitted: half the bits of the operands are taken to cost half the energy.
    return {"f16": value, "bf16": value, "f8": float(f"{value / 2:.3g}")}


def _write(values: Mapping[str, float], notes: list[str]) -> None:
    table = _table(values)
    lines = [
        "# Constants of hw/kernels/common/power.py, written by benchmarks/fit/power.py from published rates.",
        *(f"# {note}" for note in notes),
        f"power_fraction = {POWER_FRACTION}",
        *(f"{name} = {values[name]}" for name in ("matrix_fraction", "voltage_floor_fraction")),
        "",
        "# The process of each compute capability.",
        "[node]",
        *(f'"{capability}" = "{node}"' for capability, node in NODES.items()),
        "",
        "# Picojoules per FLOP of a product of matrices, at the voltage of the boost clock.",
    ]
    for unit in ("vector", "matrix"):
        lines += [f"[{unit}]"]
        for node, energies in table[unit].items():
            inner = ", ".join(f"{dtype} = {value}" for dtype, value in energies.items())
            lines += [f"{node} = {{ {inner} }}"]
        lines += [""]
    lines += [
        "[sources]",
        'rates = "github.com/zzc0721/torch-performance-test-data, issues and database.md at 0785868"',
    ]
    (Path(steelyard.hw.kernels.common.__file__).parent / "power.toml").write_text(
        "\n".join(lines) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
