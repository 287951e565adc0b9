"""Time and memory of annotating a training step of Llama-3-70B: `python benchmarks/llama_70b.py`.

The whole process counts, with imports and output.
"""

import json
import subprocess
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter

from report import Report

SPEC = (
    "hf:llama?hidden_size=8192&intermediate_size=28672&num_hidden_layers=80&num_attention_heads=64"
    "&num_key_value_heads=8&vocab_size=128256"
)
STEP = ["--train", "--batch", "1", "--sequence", "4096", "--dtype", "bfloat16", "--device", "h100-sxm"]


def main() -> None:
    report = Report(
        "llama_70b",
        "Llama-3-70B",
        "A training step of 80 layers (batch 1, 4096 tokens, bf16) annotated for an H100, the whole process.",
        {"figure": "", "value": ","},
    )
    start = perf_counter()
    command = ["steelyard", "annotate", SPEC, *STEP, "--format", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall_s = perf_counter() - start
    used = getrusage(RUSAGE_CHILDREN)
    resident_mb = used.ru_maxrss * 1024 / 1e6
    report.add("time, s", round(wall_s, 1))
    report.add("processor time, s", round(used.ru_utime + used.ru_stime, 1))
    report.add("resident memory, MB", round(resident_mb))
    report.add("ops", json.loads(done.stdout)["coverage"]["ops"])
    report.finish(f"{wall_s:.1f} s, {resident_mb:,.0f} MB", "10 s, 600 MB")


if __name__ == "__main__":
    main()
