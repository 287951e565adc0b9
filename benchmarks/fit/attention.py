"""Fit the constants of fused attention, and write hw/kernels/attention_{prefill,decode}.toml.

    python benchmarks/fit/attention.py ../shared/measured

Maximum a posteriori on log ratios, as devices are calibrated; deterministic. `any` is fitted to both devices,
and each family starts from it. Prints how well each fit does on rows, and on a device, that it has not seen.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

import steelyard.hw.kernels
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.fitting.fit_coefficients import Case, fit_coefficients, modelled_s
from steelyard.hw.kernels.attention.model import FusedAttention

Kind = Literal["attention_prefill", "attention_decode"]

FILES: dict[Kind, str] = {"attention_prefill": "context", "attention_decode": "generation"}
FAMILIES = {"ampere": ("a100_sxm", "a100-80gb-sxm"), "hopper": ("h100_sxm", "h100-sxm")}
COLUMNS = {"b": "batch_size", "hq": "num_heads", "hkv": "kv_heads", "sq": "isl", "d": "head_dim"}

# Orders of magnitude: parts of peaks as GEMMs reach, two fused operations and an exponential a score in
# f32, the width of an SM's path to the cache, and kernels of a few us.
START = {
    "launch_s": 6e-6,
    "matrix_fraction": 0.85,
    "softmax_flops": 12.0,
    "task_s": 1e-6,
    "fill_bytes_per_clock": 48.0,
    "split_slowdown": 1.3,
    "combine_s": 3e-6,
    "memory_fraction": 0.85,
}
OWN: dict[Kind, dict[str, float]] = {
    "attention_prefill": {"token_s": 8e-10},
    "attention_decode": {"sequence_s": 2e-8},
}

PUBLISHED: dict[Kind, dict[str, dict[str, float]]] = {
    "attention_prefill": {"sm100": {"softmax_flops": 9.0}},
    "attention_decode": {},
}
"""Families without open rows: `any`, but for what papers say. sm100: 1410 of 2250 TFLOP/s at head size 128,
between FlashAttention-4 (1605) and cuDNN, which is up to 1.3 times slower (arXiv 2603.05451, abstract)."""

CALIBRATION_ROWS = 200
DIGITS = 4


def main() -> None:
    root = Path(sys.argv[1])
    for kind in FILES:
        model = FusedAttention(kind)
        cases = {family: _case(root, kind, *names) for family, names in FAMILIES.items()}
        start = {**START, **OWN[kind]}
        # Each device weighs alike.
        fewest = min(len(case.measured_s) for case in cases.values())
        pooled = _fit(model, [_few(case, fewest)[0] for case in cases.values()], start)
        fitted = {family: _fit(model, [case], pooled) for family, case in cases.items()}
        notes = [note for family in FAMILIES for note in _notes(model, family, cases, fitted, pooled, start)]
        print(kind, *notes, sep="\n")
        published = {family: {**pooled, **known} for family, known in PUBLISHED[kind].items()}
        _write(kind, {**fitted, "any": pooled, **published}, notes)


def _notes(
    model: FusedAttention,
    family: str,
    cases: Mapping[str, Case],
    fitted: Mapping[str, dict[str, float]],
    pooled: Mapping[str, float],
    start: Mapping[str, float],
) -> list[str]:
    case = cases[family]
    others = [other for name, other in cases.items() if name != family]
    unseen = _fit(model, others, start)
    half, rest = _few(case, len(case.measured_s) // 2)
    few, many = _few(case, CALIBRATION_ROWS)
    return [
        _score(model, "its own constants", case, fitted[family]),
        _score(model, "fitted to the other half", rest, _fit(model, [half], unseen)),
        _score(
            model,
            f"the other device's constants, fitted to {CALIBRATION_ROWS} rows",
            many,
            _fit(model, [few], unseen),
        ),
        _score(model, "the other device's constants", case, unseen),
        _score(model, "the constants of `any`", case, pooled),
    ]


def _case(root: Path, kind: Kind, file: str, device: str) -> Case:
    path = root / f"aiconfigurator/attention_{FILES[kind]}_bf16_{file}.csv"
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    dims = {dim: np.array([int(row[column]) for row in rows]) for dim, column in COLUMNS.items()}
    dims["skv"] = dims["sq"] + np.array([int(row["step"]) for row in rows])
    dims["causal"] = np.ones_like(dims["sq"])
    measured_s = np.array([float(row["latency_ms"]) for row in rows]) * 1e-3
    return Case(load_device(device), "bf16", ExecutionContext(mode="graph"), dims, measured_s)


def _few(case: Case, count: int) -> tuple[Case, Case]:
    order = np.random.default_rng(0).permutation(len(case.measured_s))
    return case.take(order[:count]), case.take(order[count:])


def _fit(model: FusedAttention, cases: Sequence[Case], prior: Mapping[str, float]) -> dict[str, float]:
    found = fit_coefficients(model, cases, prior)
    return {name: float(f"{found[name]:.{DIGITS}g}") for name in prior}


def _score(model: FusedAttention, title: str, case: Case, coefficients: Mapping[str, float]) -> str:
    error = modelled_s(model, case, coefficients) / case.measured_s - 1
    mape, median, bias = 100 * np.mean(abs(error)), 100 * np.median(abs(error)), 100 * np.mean(error)
    figures = f"{len(error)} rows, MAPE {mape:.1f} %, median {median:.1f} %, bias {bias:+.1f} %"
    return f"# {case.device.name}, {title}: {figures}"


def _write(kind: Kind, families: Mapping[str, Mapping[str, float]], notes: Sequence[str]) -> None:
    lines = [
        "# Fused attention; what each constant means is said in hw/kernels/attention/model.py.",
        "# Written by benchmarks/fit/attention.py; `any` is fitted to both devices at once.",
        *notes,
    ]
    for family, coefficients in families.items():
        lines += ["", f"[bf16.{family}]", *(f"{name} = {value:.4g}" for name, value in coefficients.items())]
    source = (
        f"attention_{FILES[kind]}_bf16_{{a100_sxm,h100_sxm}}, github.com/ai-dynamo/aiconfigurator at 095f58a"
    )
    lines += ["", "[sources]", f'rows = "{source}"']
    lines += [f'{family} = "any, with softmax_flops after arXiv 2603.05451"' for family in PUBLISHED[kind]]
    folder = Path(steelyard.hw.kernels.__file__).parent
    (folder / "attention" / f"{kind}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
