"""Open measurements of others, as the rows that `steelyard predict` reads.

    python benchmarks/measured.py ../shared/measured -o rows

writes one CSV a source. The columns are those of each kind in `steelyard.hw.kernels.kinds`, with
kind, dtype, device, context and latency_ms.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from steelyard.hw.base.atomic_file import write_atomically

Row = dict[str, object]

DEVICES = {
    "P4": "p4",
    "P100": "p100-pcie",
    "V100": "v100-pcie-32gb",
    "T4": "t4",
    "L4": "l4",
    "A100-40-PCIe": "a100-40gb-pcie",
    "A100-80-PCIe": "a100-80gb-pcie",
    "H100-SXM": "h100-sxm",
    "a100_sxm": "a100-80gb-sxm",
    "h100_sxm": "h100-sxm",
}


def neusight_linear(root: Path) -> Iterator[Row]:
    """fp32 linear layers with bias, eager, TF32 off; their N is what is reduced."""
    for row in _read(root / "neusight/train_linear.csv"):
        yield _eager(row, "gemm", b=1, m=row["M"], n=row["K"], k=row["N"])


def neusight_bmm(root: Path) -> Iterator[Row]:
    """fp32 batched products, eager, TF32 off."""
    for row in _read(root / "neusight/train_bmm.csv"):
        yield _eager(row, "bmm", b=row["B"], m=row["M"], n=row["K"], k=row["N"])


def neusight_vec(root: Path) -> Iterator[Row]:
    """fp32 elementwise operations, softmax and layer norm, eager."""
    kinds = {"ln": "layer_norm", "softmax": "softmax"}
    for row in _read(root / "neusight/train_vec.csv"):
        kind = kinds.get(row["op"], "elementwise")
        fn = {"fn": row["op"]} if kind == "elementwise" else {}
        yield _eager(row, kind, **fn, rows=row["B"], cols=row["H"])


def neusight_conv(root: Path) -> Iterator[Row]:
    """fp32 3x3 convolutions forward, cuDNN's benchmark mode on, TF32 off."""
    for row in _read(root / "neusight/conv_fp32.csv"):
        yield _eager(
            row,
            "conv2d",
            **_square(row["batch"], row["cin"], row["hw"], row["cout"], row["ksize"]),
            stride=row["stride"],
            pad=row["pad"],
        )


def aiconfigurator_gemm(root: Path) -> Iterator[Row]:
    """bf16 products in CUDA graphs; weights below a sixth of the L2 stay in it."""
    for device in ("a100_sxm", "h100_sxm"):
        for row in _read(root / f"aiconfigurator/gemm_bfloat16_{device}.csv"):
            yield _graph(device, row, "gemm", b=1, m=row["m"], n=row["n"], k=row["k"])


def aiconfigurator_attention(root: Path) -> Iterator[Row]:
    """bf16 attention in CUDA graphs: causal prefill after `step` cached keys, and decode."""
    for device in ("a100_sxm", "h100_sxm"):
        for file, kind in (("context", "attention_prefill"), ("generation", "attention_decode")):
            for row in _read(root / f"aiconfigurator/attention_{file}_bf16_{device}.csv"):
                queries, cached = int(row["isl"]), int(row["step"])
                yield _graph(
                    device,
                    row,
                    kind,
                    b=row["batch_size"],
                    hq=row["num_heads"],
                    hkv=row["kv_heads"],
                    sq=queries,
                    skv=queries + cached,
                    d=row["head_dim"],
                    causal=1,
                )


def deepbench_gemm(root: Path) -> Iterator[Row]:
    """fp32 products on P100 and V100, many launches in a row."""
    for row in _read(root / "deepbench/gemm.csv"):
        if row["precision"] == "FP32":
            yield _deepbench(row, "gemm", row["time_ms"], b=1, m=row["M"], n=row["N"], k=row["K"])


def deepbench_conv(root: Path) -> Iterator[Row]:
    """fp32 convolutions on P100 and V100, three directions, each with cuDNN's best algorithm."""
    times = {"fwd": "fwd_ms", "dgrad": "bwd_inputs_ms", "wgrad": "bwd_params_ms"}
    for row in _read(root / "deepbench/conv.csv"):
        square = row["pad_h"] == row["pad_w"] and row["stride_h"] == row["stride_w"]
        if row["precision"] != "FP32" or row["shape_ok"] != "1" or not square:
            continue
        dims = {"n": row["N"], "c": row["C"], "h": row["H"], "w": row["W"], "o": row["K"]}
        dims |= {"r": row["R"], "s": row["S"], "stride": row["stride_h"], "pad": row["pad_h"]}
        for direction, column in times.items():
            if row[column]:
                yield _deepbench(row, "conv2d", row[column], **dims, groups=1, direction=direction)


SOURCES = {
    function.__name__: function
    for function in (
        neusight_linear,
        neusight_bmm,
        neusight_vec,
        neusight_conv,
        aiconfigurator_gemm,
        aiconfigurator_attention,
        deepbench_gemm,
        deepbench_conv,
    )
}


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        yield from csv.DictReader(stream)


def _square(batch: str, channels: str, side: str, filters: str, kernel: str) -> Row:
    dims: Row = {"n": batch, "c": channels, "h": side, "w": side, "o": filters, "r": kernel, "s": kernel}
    return {**dims, "groups": 1, "direction": "fwd"}


def _eager(row: dict[str, str], kind: str, **dims: object) -> Row:
    head = {"kind": kind, "dtype": "fp32", "device": DEVICES[row["device"]], "context": "eager"}
    return {**head, **dims, "latency_ms": row["latency_ms"]}


def _graph(device: str, row: dict[str, str], kind: str, **dims: object) -> Row:
    head = {"kind": kind, "dtype": "bf16", "device": DEVICES[device], "context": "graph"}
    return {**head, **dims, "latency_ms": row["latency_ms"]}


def _deepbench(row: dict[str, str], kind: str, latency_ms: str, **dims: object) -> Row:
    device = {"NV_P100": "p100-pcie", "NV_V100": "v100-sxm2-16gb"}[row["device"]]
    # Launches follow each other without a wait, so that the host hides behind the device.
    return {
        "kind": kind,
        "dtype": "fp32",
        "device": device,
        "context": "graph",
        **dims,
        "latency_ms": latency_ms,
    }


def csv_text(rows: list[Row]) -> str:
    """Return the rows as CSV, with every column that any of them has."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [",".join(columns), *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="the folder of the sources")
    parser.add_argument("-o", dest="output", type=Path, required=True, help="the folder to write to")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for name, source in SOURCES.items():
        rows = list(source(given.measured))
        write_atomically(given.output / f"{name}.csv", csv_text(rows))
        print(f"{len(rows):7,} rows  {name}")


if __name__ == "__main__":
    main()
