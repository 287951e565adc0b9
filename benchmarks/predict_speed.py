"""How many rows a second `steelyard predict` prices, process start and files included.

python benchmarks/predict_speed.py [rows of each kind]
"""

import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with TemporaryDirectory() as folder:
        for name, kinds in [*((kind, [kind]) for kind in KINDS), ("all kinds", list(KINDS))]:
            path = Path(folder) / "rows.csv"
            path.write_text(table(kinds, rows))
            output = str(Path(folder) / "out.csv")
            command = ["steelyard", "predict", str(path), "-o", output]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            print(f"{name:18} {rows / (time.perf_counter() - start):10,.0f} rows/s")


if __name__ == "__main__":
    main()
