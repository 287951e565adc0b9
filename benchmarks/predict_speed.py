"""Rows a second of `steelyard predict`, process start and files included.

python benchmarks/predict_speed.py [rows of each kind]
"""

import random
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from report import Report, arguments

COLUMNS = (
    "kind,dtype,device,b,m,n,k,c,h,w,o,r,s,stride,pad,groups,direction,fn,rows,cols,hq,hkv,sq,skv,d,causal"
)
KINDS = {
    "gemm": ("m", "n", "k"),
    "bmm": ("b", "m", "n", "k"),
    "conv2d": ("n", "c", "h", "w", "o"),
    "elementwise": ("rows", "cols"),
    "softmax": ("rows", "cols"),
    "layer_norm": ("rows", "cols"),
    "attention_prefill": ("b", "sq", "skv"),
    "attention_decode": ("b", "skv"),
}
FIXED = {
    "conv2d": {"r": 3, "s": 3, "stride": 1, "pad": 1, "groups": 1, "direction": "fwd"},
    "elementwise": {"fn": "gelu"},
    "attention_prefill": {"hq": 32, "hkv": 8, "d": 128, "causal": 1},
    "attention_decode": {"hq": 32, "hkv": 8, "d": 128, "causal": 1, "sq": 1},
}
DEVICES = ("h100-sxm", "a100-80gb-sxm", "l4")


def table(kinds: list[str], rows: int) -> str:
    chosen = random.Random(0)
    lines = [COLUMNS]
    for row in range(rows):
        kind = kinds[row % len(kinds)]
        cells: dict[str, object] = {"kind": kind, "dtype": "bf16", "device": chosen.choice(DEVICES)}
        cells |= {dim: chosen.randint(1, 2048) for dim in KINDS[kind]}
        cells |= FIXED.get(kind, {})
        lines.append(",".join(str(cells.get(column, "")) for column in COLUMNS.split(",")))
    return "\n".join(lines) + "\n"


def main() -> None:
    rows = int(next(iter(arguments()), 50_000))
    report = Report(
        "predict_speed",
        "Rows that predict estimates",
        f"`steelyard predict` on {rows:,} kernels of three devices, process start and files included.",
        {"kind": "", "rows a second": ",.0f"},
    )
    rates = list[float]()
    with TemporaryDirectory() as folder:
        for name, kinds in [*((kind, [kind]) for kind in KINDS), ("all kinds", list(KINDS))]:
            path = Path(folder) / "rows.csv"
            path.write_text(table(kinds, rows))
            output = str(Path(folder) / "out.csv")
            command = ["steelyard", "predict", str(path), "-o", output]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            rates.append(rows / (time.perf_counter() - start))
            report.add(name, rates[-1])
    report.finish(f"{min(rates):,.0f} to {max(rates):,.0f} rows a second", "20,000")


if __name__ == "__main__":
    main()
