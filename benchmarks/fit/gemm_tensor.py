"""Fit the constants of products on tensor cores, and write hw/kernels/gemm/gemm_tensor.toml.

    python benchmarks/fit/gemm_tensor.py ../shared/measured

Least squares on log ratios with a robust loss, all constants positive; deterministic. Prints how well each
fit does on rows, and on a device, that it has not seen.
"""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import steelyard.hw.kernels
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.gemm.tensor_core import TensorGemm

Rows = NDArray[np.float64]
"""Columns m, n, k and the measured seconds."""

FAMILIES = {"ampere": ("a100_sxm", "a100-80gb-sxm"), "hopper": ("h100_sxm", "h100-sxm")}
START = {
    "launch_cycles": 4500.0,
    "multiply_fraction": 0.9,
    "fetch_bytes_per_kilomac": 30.0,
    "lone_fetch_bytes_per_kilomac": 30.0,
    "store_bytes_per_kilomac": 8.0,
    "split_cycles": 4000.0,
    "power_fraction": 0.58,
}
FIXED = {
    "memory_fraction": 0.87,
    "memory_latency_cycles": 2000.0,
    "cache_fraction": 0.45,
    "overlap_exponent": 3.0,
    "unaligned_fraction": 0.74,
}
"""What the rows of one device hardly tell apart from the other constants; the same on all devices.

The first is that of streams on A100 and H100, the next three are between what each device alone asks for. The
open rows are all aligned: 115.6 of 155.9 TFLOP/s at 2055 beside 2040, in pytorch/pytorch#181718.
"""

LOSS_SCALE = 0.1
"""Log ratios above this count linearly: where cuBLAS chose badly, no constant should follow."""

ROWS = 3000
"""Of each device, at random, for a fit; more make the errors on the others no smaller."""

CALIBRATION_ROWS = 200
CALIBRATION_PULL = 0.3
"""Weight of a constant's log distance from its start, in rows."""


def main() -> None:
    root = Path(sys.argv[1])
    data = {family: _rows(root, file) for family, (file, _) in FAMILIES.items()}
    devices = {family: load_device(name) for family, (_, name) in FAMILIES.items()}
    fitted = {family: _fit([(devices[family], rows)]) for family, rows in data.items()}
    pooled = _fit([(devices[family], rows) for family, rows in data.items()])
    notes: list[str] = []
    for family, rows in data.items():
        device = devices[family]
        others = next(c for other, c in fitted.items() if other != family)
        notes.append(_score(f"{device.name}, its own constants", device, rows, fitted[family]))
        half, rest = _split(rows, len(rows) // 2)
        notes.append(_score(f"{device.name}, fitted to the other half", device, rest, _fit([(device, half)])))
        few, rest = _split(rows, CALIBRATION_ROWS)
        near = _fit([(device, few)], start=others, pull=CALIBRATION_PULL)
        title = f"{device.name}, the other device's constants fitted to {CALIBRATION_ROWS} rows"
        notes.append(_score(title, device, rest, near))
        notes.append(_score(f"{device.name}, the other device's constants", device, rows, others))
        notes.append(_score(f"{device.name}, the constants of `any`", device, rows, pooled))
    print("\n".join(notes))
    _write({**fitted, "any": pooled}, notes)


def _rows(root: Path, file: str) -> Rows:
    path = root / f"aiconfigurator/gemm_bfloat16_{file}.csv"
    with path.open(newline="", encoding="utf-8-sig") as stream:
        table = [[float(row[key]) for key in ("m", "n", "k", "latency_ms")] for row in csv.DictReader(stream)]
    rows = np.array(table)
    rows[:, 3] *= 1e-3
    return rows


def _split(rows: Rows, count: int) -> tuple[Rows, Rows]:
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order[:count]], rows[order[count:]]


def _seconds(device: Device, rows: Rows, coefficients: Mapping[str, float]) -> NDArray[np.float64]:
    dims = {"b": np.ones(len(rows)), "m": rows[:, 0], "n": rows[:, 1], "k": rows[:, 2]}
    context = ExecutionContext(mode="graph")
    return (
        TensorGemm("gemm")
        .estimate(Launches(device, "bf16", context, dims, {**FIXED, **coefficients}))
        .seconds
    )


def _fit(
    sets: list[tuple[Device, Rows]], start: Mapping[str, float] = START, pull: float = 0.0
) -> dict[str, float]:
    names = list(START)
    sets = [(device, _split(rows, ROWS)[0]) for device, rows in sets]
    origin = np.log([start[name] for name in names])
    fewest = min(len(rows) for _, rows in sets)

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        coefficients = dict(zip(names, np.exp(logs).tolist(), strict=True))
        # Each device weighs alike.
        parts = [
            np.log(_seconds(device, rows, coefficients) / rows[:, 3]) * np.sqrt(fewest / len(rows))
            for device, rows in sets
        ]
        return np.concatenate([*parts, pull * (logs - origin)])

    solved = least_squares(residuals, origin, loss="soft_l1", f_scale=LOSS_SCALE, diff_step=0.01, max_nfev=60)
    return {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(solved.x), strict=True)}


def _score(title: str, device: Device, rows: Rows, coefficients: Mapping[str, float]) -> str:
    error = _seconds(device, rows, coefficients) / rows[:, 3] - 1
    mape, median, bias = 100 * np.mean(abs(error)), 100 * np.median(abs(error)), 100 * np.mean(error)
    return f"{title}: {len(rows)} rows, MAPE {mape:.1f} %, median {median:.1f} %, bias {bias:+.1f} %"


def _write(families: Mapping[str, Mapping[str, float]], notes: list[str]) -> None:
    lines = [
        "# Products on tensor cores; what each constant means is said in hw/kernels/gemm/tensor_core.py.",
        "# Written by benchmarks/fit/gemm_tensor.py; `any` is fitted to both devices at once.",
        "# Not blind: `per kilomac`, cycles and the multicast of Hopper were chosen because with them these",
        "# carry over between these devices; in seconds and without multicast they miss by 18 and 13 %.",
        "# benchmarks/gemm_tensor_external.py scores on rows that had no part in any choice.",
        *(f"# {note}" for note in notes),
    ]
    for family, coefficients in families.items():
        lines += ["", f"[bf16.{family}]"]
        lines += [f"{name} = {value}" for name, value in {**coefficients, **FIXED}.items()]
    lines += [
        "",
        "[sources]",
        'rows = "gemm_bfloat16_{a100_sxm,h100_sxm}, github.com/ai-dynamo/aiconfigurator at 095f58a"',
        'unaligned_fraction = "github.com/pytorch/pytorch/issues/181718: 115.6 of 155.9 TFLOP/s"',
    ]
    path = Path(steelyard.hw.kernels.__file__).parent / "gemm" / "gemm_tensor.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
