"""Wave scaling between GPUs beside our models, on ops that NeuSight measured on several of them.

    python benchmarks/transfer_accuracy.py ../shared/measured

Kernels: linear layers, elementwise functions, softmax and layer norm of the same dims on five GPUs. Models:
the products, norms and elementwise ops of whole transformers, matched by their place in the model.
"""

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
from measured import DEVICES
from report import Report, arguments

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork, WorkKind
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.dispatch import CALL_RATIOS, call_coefficients
from steelyard.hw.kernels.common.kernel_queries import CATEGORICAL_DIMS, DIMS, KernelBatch, KernelKind
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.wave_scaling import MeasuredOp, transfer

EAGER = ExecutionContext(mode="eager")
KINDS: dict[KernelKind, WorkKind] = {
    "gemm": "contraction",
    "bmm": "contraction",
    "elementwise": "pointwise",
    "softmax": "softmax",
    "layer_norm": "normalization",
}
LONG_S = 100e-6
MOST_ROWS = 2000
FUNCTIONS = {
    "add>": "add",
    "mul>": "mul",
    "truediv>": "divu",
    "gelu>": "gelu",
    "tanh": "tanh",
    "relu": "relu",
}
LINEAR = re.compile(r"(query|key|value|dense|classifier|lm_head|[qkv]_proj|out_proj|fc[12])$")
NORM = re.compile(r"(LayerNor?m?|layer_nor?m?|ln_\w+|final_layer_norm)$")

Key = tuple[KernelKind, tuple[tuple[str, int | str], ...]]
Times = dict[str, float]


def kernels(folder: Path) -> Iterator[tuple[str, Key, Times]]:
    """Yield the name of a table, a kernel and its seconds by device."""
    found: dict[Key, Times] = defaultdict(dict)
    for name in ("linear", "vec"):
        for row in _read(folder / f"train_{name}.csv"):
            found[_kernel(row)][row["device"]] = float(row["latency_ms"]) * 1e-3
    for key, times in found.items():
        yield f"kernels: {key[0]}", key, times


def models(folder: Path) -> Iterator[tuple[str, Key, Times]]:
    """Yield the same of ops of whole models; those of the same dims in one model are taken apart by place."""
    places: dict[tuple[str, ...], int] = defaultdict(int)
    found: dict[tuple[object, ...], Times] = defaultdict(dict)
    for row in _read(folder / "e2e_per_op.csv"):
        case = tuple(row[name] for name in ("device", "model", "mode", "seq", "batch"))
        places[case] += 1
        key = _op(row)
        if key:
            found[(*case[1:], places[case], key)][row["device"]] = float(row["fw_ms"]) * 1e-3
    for (*_, key), times in found.items():
        yield f"models: {key[0]}", key, times  # pyright: ignore


def _kernel(row: dict[str, str]) -> Key:
    if "M" in row:
        return "gemm", (("b", 1), ("m", int(row["M"])), ("n", int(row["K"])), ("k", int(row["N"])))
    sizes = (("rows", int(row["B"])), ("cols", int(row["H"])))
    if row["op"] in ("softmax", "ln"):
        return "softmax" if row["op"] == "softmax" else "layer_norm", sizes
    return "elementwise", (("fn", row["op"]), *sizes)


def _op(row: dict[str, str]) -> Key | None:
    operands = [_shape(text) for text in re.findall(r"\[([\d; ]+)\]", row["in_shapes"])]
    result, target = _shape(row["out_shape"].strip("()")), row["target"].split(" ")[0]
    if not operands or len(result) < 2:
        return None
    first = operands[0]
    rows = int(np.prod(result[:-1]))
    if row["kind"] == "call_module" and LINEAR.search(target):
        return "gemm", (("b", 1), ("m", rows), ("n", result[-1]), ("k", first[-1]))
    if row["kind"] == "call_module" and NORM.search(target):
        return "layer_norm", (("rows", rows), ("cols", result[-1]))
    if target in ("matmul", "bmm") and len(operands) > 1:
        batch = int(np.prod(result[:-2]))
        return "bmm", (("b", batch), ("m", result[-2]), ("n", result[-1]), ("k", first[-1]))
    if target == "softmax":
        return "softmax", (("rows", rows), ("cols", result[-1]))
    fn = FUNCTIONS.get(target)
    if fn is None or first != result:
        return None
    binary = len(operands) > 1 and operands[1] == result
    name = fn if binary or fn not in ("add", "mul") else f"{fn}u"
    return "elementwise", (("fn", name), ("rows", rows), ("cols", result[-1]))


def _shape(text: str) -> list[int]:
    return [int(size) for size in text.replace(" ", "").split(";") if size]


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        yield from csv.DictReader(stream)


def _columns(kind: KernelKind, keys: list[Key]) -> KernelBatch:
    records = [dict(dims) for _, dims in keys]
    return KernelBatch(
        kind,
        "f32",
        {
            dim: np.array(
                [record[dim] for record in records], dtype=None if dim in CATEGORICAL_DIMS else np.int64
            )
            for dim in DIMS[kind]
        },
    )


def _works(queries: KernelBatch) -> list[KernelWork]:
    counts = MODELS[queries.kind].counts("f32", queries.dims)
    return [
        KernelWork(kind=KINDS[queries.kind], dtype="f32", **cost.counts())
        for cost in counts.split(len(queries))
    ]


def _lead_s(kind: KernelKind, device: Device) -> float:
    """The part of a single eager call before its kernel starts, as in `overhead.timed`."""
    lead = MODELS["elementwise"].coefficients(device, "f32")["lead_fraction"]
    return call_coefficients(device)["call_s"] * CALL_RATIOS.get(kind, 1.0) * lead


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="the folder of the sources")
    folder = parser.parse_args(arguments()).measured / "neusight"
    tables: dict[str, list[tuple[Key, Times]]] = defaultdict(list)
    for rows in (kernels(folder), models(folder)):
        for name, key, times in rows:
            tables[name].append((key, times))
    report = Report(
        "transfer_accuracy",
        "Transfer between GPUs",
        "Times of ops that NeuSight measured on one of five GPUs, scaled by waves to another, beside the "
        "kernel models of the other; ops of at least 100 us.",
        {
            "ops": "",
            "rows": ",",
            "scaled, mean": ".1%",
            "median": ".1%",
            "bias": "+.1%",
            "models, mean": ".1%",
            "their median": ".1%",
            "their bias": "+.1%",
        },
    )
    all_errors: list[tuple[float, float]] = []
    for name, entries in tables.items():
        every: list[tuple[float, float]] = []
        for origin, target in permutations(("P4", "P100", "V100", "T4", "A100-40-PCIe"), 2):
            pairs = [(k, t[origin], t[target]) for k, t in entries if t.keys() >= {origin, target}]
            pairs = [pair for pair in pairs if min(pair[1:]) > LONG_S]
            if len(pairs) < 5:
                continue
            chosen = np.random.default_rng(0).permutation(len(pairs))[:MOST_ROWS]
            every += _score([pairs[row] for row in chosen], origin, target)
        if every:
            report.add(name, len(every), *_summary(every))
            all_errors += every
    scaled, _, _, modelled, *_ = _summary(all_errors)
    report.finish(f"scaled {scaled:.1%} mean, kernel models {modelled:.1%}")


def _score(pairs: list[tuple[Key, float, float]], origin: str, target: str) -> list[tuple[float, float]]:
    source, destination = load_device(DEVICES[origin]), load_device(DEVICES[target])
    kind = pairs[0][0][0]
    queries = _columns(kind, [key for key, _, _ in pairs])
    direct_s = Ladder(destination, EAGER, measured=False).price(queries).value_s
    lead_s = _lead_s(kind, source)
    errors: list[tuple[float, float]] = []
    for ((_, dims), measured_s, known_s), work, model_s in zip(pairs, _works(queries), direct_s, strict=True):
        op = MeasuredOp(work, kind, dict(dims), measured_s)
        scaled_s = transfer(op, source, destination, overhead_s=lead_s).seconds
        errors.append((scaled_s / known_s - 1, model_s / known_s - 1))
    return errors


def _summary(errors: list[tuple[float, float]]) -> list[float]:
    columns = np.array(errors).T
    return [
        float(each)
        for column in columns
        for each in (abs(column).mean(), np.median(abs(column)), column.mean())
    ]


if __name__ == "__main__":
    main()
