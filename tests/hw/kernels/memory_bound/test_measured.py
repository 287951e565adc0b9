"""Elementwise kernels, softmax and layer norm against rows of NeuSight (6945927)."""

import csv
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise
from steelyard.hw.kernels.memory_bound.layer_norm import LayerNorm
from steelyard.hw.kernels.memory_bound.softmax import Softmax

MEASURED = Path(os.environ["STEELYARD_MEASURED"])
FILE = MEASURED / "neusight/train_vec.csv"
MODELS = {"elementwise": Elementwise(), "softmax": Softmax(), "ln": LayerNorm()}

# Mean relative errors in percent, with slack; `P100 ln` was timed on another host than the rest of P100.
LIMITS = {
    ("P4", "elementwise"): 3,
    ("P4", "softmax"): 9,
    ("P4", "ln"): 10,
    ("P100", "elementwise"): 8,
    ("P100", "softmax"): 12,
    ("P100", "ln"): 40,
    ("V100", "elementwise"): 3,
    ("V100", "softmax"): 4,
    ("V100", "ln"): 3,
    ("T4", "elementwise"): 6,
    ("T4", "softmax"): 10,
    ("T4", "ln"): 11,
    ("A100-40-PCIe", "elementwise"): 5,
    ("A100-40-PCIe", "softmax"): 6,
    ("A100-40-PCIe", "ln"): 6,
}
NAMES = {
    "P4": "p4",
    "P100": "p100-pcie",
    "V100": "v100-pcie-32gb",
    "T4": "t4",
    "A100-40-PCIe": "a100-40gb-pcie",
}


@cache
def measured() -> dict[tuple[str, str], list[tuple[str, int, int, float]]]:
    cells: dict[tuple[str, str], list[tuple[str, int, int, float]]] = {}
    with FILE.open(newline="", encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            kind = row["op"] if row["op"] in MODELS else "elementwise"
            cell = row["op"], int(row["B"]), int(row["H"]), float(row["latency_ms"]) * 1e-3
            cells.setdefault((row["device"], kind), []).append(cell)
    return cells


@pytest.mark.skipif(not FILE.exists(), reason="the open measurements are not here; set STEELYARD_MEASURED")
@pytest.mark.parametrize(("device", "kind"), LIMITS)
def test_mean_error_on_measured_rows(device, kind):
    functions, rows, cols, measured_s = zip(*measured()[device, kind], strict=True)
    dims = {"fn": np.array(functions), "rows": np.array(rows), "cols": np.array(cols)}
    model, found = MODELS[kind], load_device(NAMES[device])
    coefficients = model.coefficients(found, "f32")
    estimate = model.estimate(Launches(found, "f32", ExecutionContext(), dims, coefficients))
    error = np.abs(estimate.seconds / np.array(measured_s) - 1).mean() * 100
    assert error < LIMITS[device, kind]
