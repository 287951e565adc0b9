"""Open measurements of f32 matrix products, as the fit of their constants reads them."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device

Kind = Literal["gemm", "bmm"]

NEUSIGHT = {
    "P100": "p100-pcie",
    "P4": "p4",
    "V100": "v100-pcie-32gb",
    "T4": "t4",
    "A100-40-PCIe": "a100-40gb-pcie",
}
DEEPBENCH = {"NV_P100": "p100-pcie", "NV_V100": "v100-sxm2-16gb"}

_LAYERS = re.compile(r"query|key|value|dense|lm_head|fc[12]|_proj|^addmm")
_PRODUCTS = re.compile(r"^(matmul|bmm)")
_SHORTEST_MS = 0.3
"""Shorter ones of whole models are mostly the host's time."""


@dataclass(frozen=True)
class Case:
    """Products of one device. Columns: b, m, n, k and the measured seconds."""

    kind: Kind
    device: Device
    context: ExecutionContext
    rows: NDArray[np.float64]

    @cached_property
    def dims(self) -> Mapping[str, NDArray[np.float64]]:
        """The columns that a model reads."""
        return {name: self.rows[:, column] for column, name in enumerate("bmnk")}

    @property
    def measured_s(self) -> NDArray[np.float64]:
        """What was measured."""
        return self.rows[:, 4]

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, count: int) -> tuple["Case", "Case"]:
        """Return `count` rows at random, always the same ones, and the others."""
        order = np.random.default_rng(0).permutation(len(self.rows))
        parts = (self.rows[order[:count]], self.rows[order[count:]])
        first, second = (Case(self.kind, self.device, self.context, part) for part in parts)
        return first, second


def random_cases(root: Path, kind: Kind) -> list[Case]:
    """NeuSight's random shapes, one eager call each; their N is what is reduced."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for row in _read(root / f"neusight/train_{'linear' if kind == 'gemm' else 'bmm'}.csv"):
        dims = [float(row.get("B", 1)), *(float(row[name]) for name in ("M", "K", "N"))]
        found[NEUSIGHT[row["device"]]].append([*dims, float(row["latency_ms"]) * 1e-3])
    return _cases(kind, found, ExecutionContext())


def model_cases(root: Path, kind: Kind) -> list[Case]:
    """The layers of whole models, timed one by one in NeuSight's end-to-end runs."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for row in _read(root / "neusight/e2e_per_op.csv"):
        dims = _layer_dims(row) if kind == "gemm" else _product_dims(row)
        if dims and float(row["fw_ms"]) > _SHORTEST_MS:
            found[NEUSIGHT[row["device"]]].append([*dims, float(row["fw_ms"]) * 1e-3])
    return _cases(kind, found, ExecutionContext())


def deepbench_cases(root: Path, kind: Kind) -> list[Case]:
    """DeepBench's plain products, launched back to back; there are no batched ones."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for row in _read(root / "deepbench/gemm.csv") if kind == "gemm" else ():
        if row["precision"] == "FP32" and row["device"] in DEEPBENCH:
            dims = [float(row[name]) for name in ("M", "N", "K")]
            found[DEEPBENCH[row["device"]]].append([1.0, *dims, float(row["time_ms"]) * 1e-3])
    return _cases(kind, found, ExecutionContext(mode="graph"))


def _cases(kind: Kind, found: Mapping[str, list[list[float]]], context: ExecutionContext) -> list[Case]:
    return [Case(kind, load_device(name), context, np.array(rows)) for name, rows in sorted(found.items())]


def _layer_dims(row: Mapping[str, str]) -> list[float] | None:
    operands = _shapes(row["in_shapes"])
    if not _LAYERS.search(row["target"]) or "drop" in row["target"] or not operands:
        return None
    if row["target"].startswith("addmm"):
        matrices = [shape for shape in operands if len(shape) == 2]
        (m, k), (_, n) = matrices[0], matrices[1]
        return [1, m, n, k]
    *rows, k = operands[0]
    return [1, prod(rows), _numbers(row["out_shape"])[-1], k]


def _product_dims(row: Mapping[str, str]) -> list[float] | None:
    operands = _shapes(row["in_shapes"])
    if not _PRODUCTS.match(row["target"]) or len(operands[0]) < 3 or operands[0][-1] != operands[1][-2]:
        return None
    *batch, m, k = operands[0]
    return [prod(batch), m, operands[1][-1], k]


def _shapes(text: str) -> list[list[int]]:
    return [_numbers(shape) for shape in re.findall(r"\[([\d; ]+)\]", text[1:-1])]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            yield cast("dict[str, str]", row)
