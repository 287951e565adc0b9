"""Score products on tensor cores on measurements that no constant was fitted to.

    python benchmarks/gemm_tensor_external.py ../shared/measured

vidur: fp16 products of decoder layers on A100 80 GB by another serving stack, with shards of tensor-parallel
groups. deepbench: fp16 products on V100 SXM2, whose generation has no constants of its own.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from report import Report, arguments

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.gemm.tensor_core import TensorGemm

Row = tuple[int, int, int, float]
"""m, n, k and the measured seconds."""


def main() -> None:
    root = Path(arguments()[0])
    report = Report(
        "tensor_core_gemm",
        "Products on tensor cores that no constant was fitted to",
        "fp16 products of decoder layers on A100 80 GB (vidur), and on V100, whose generation has no "
        "constants of its own (DeepBench).",
        {"rows of": "", "device": "", "rows": ",", "mean error": ".1%", "median": ".1%", "bias": "+.1%"},
    )
    sources = {
        "vidur": ("a100-80gb-sxm", list(_vidur(root))),
        "deepbench": ("v100-sxm2-16gb", list(_deepbench(root))),
    }
    means = dict[str, float]()
    for source, (device, rows) in sources.items():
        errors = _errors(device, rows)
        means[device] = float(abs(errors).mean())
        report.add(
            source, device, len(rows), means[device], float(np.median(abs(errors))), float(errors.mean())
        )
    report.finish(", ".join(f"{mean:.1%} mean on {device}" for device, mean in means.items()))


def _vidur(root: Path) -> Iterator[Row]:
    measured_s: dict[tuple[int, int, int], list[float]] = {}
    for row in _read(root / "vidur/mlp_ops_fp16_a100.csv"):
        rows, width, ranks = int(row["num_tokens"]), int(row["n_embd"]), int(row["tp"])
        heads, hidden = int(row["n_head"]), int(row["n_expanded_embd"])
        key_heads = max(1, int(row["n_kv_head"]) // ranks)
        projected = (heads // ranks + 2 * key_heads) * (width // heads)
        gates = 2 if row["use_gated_mlp"] == "True" else 1
        sizes = {
            "attn_pre_proj_ms": (projected, width),
            "attn_post_proj_ms": (width, width // ranks),
            "mlp_up_proj_ms": (hidden * gates // ranks, width),
            "mlp_down_proj_ms": (width, hidden // ranks),
        }
        for column, (n, k) in sizes.items():
            if row[column]:
                measured_s.setdefault((rows, n, k), []).append(float(row[column]) * 1e-3)
    for (m, n, k), times_s in measured_s.items():
        yield m, n, k, float(np.median(times_s))


def _deepbench(root: Path) -> Iterator[Row]:
    for row in _read(root / "deepbench/gemm.csv"):
        if row["device"] == "NV_V100" and row["precision"].startswith("FP16"):
            # Column-major: its N counts the rows of ours.
            yield int(row["N"]), int(row["M"]), int(row["K"]), float(row["time_ms"]) * 1e-3


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        yield from csv.DictReader(stream)


def _errors(device_name: str, rows: list[Row]) -> NDArray[np.float64]:
    device, model = load_device(device_name), TensorGemm("gemm")
    m, n, k, measured_s = np.array(rows).T
    dims = {"b": np.ones(len(rows)), "m": m, "n": n, "k": k}
    context = ExecutionContext(mode="graph")
    predicted = model.estimate(device, "f16", context, dims, model.coefficients(device, "f16"))
    return predicted.seconds / measured_s - 1


if __name__ == "__main__":
    main()
