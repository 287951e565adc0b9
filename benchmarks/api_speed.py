"""Time of `sy.annotate` on GPT-2 beside the import of torch and transformers with the capture alone.

python benchmarks/api_speed.py
"""

import subprocess
import sys
from statistics import median
from time import perf_counter

from report import Report

IMPORT_AND_CAPTURE = """
import torch
from transformers import GPT2LMHeadModel
import steelyard as sy
sy.capture("hf:gpt2", train=True, target="h100-sxm")
"""
WHOLE = """
import steelyard as sy
print(sy.annotate("hf:gpt2", train=True, target="h100-sxm"))
"""
ROUNDS = 3


def seconds(code: str) -> float:
    """The time of a Python process that runs some code."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return perf_counter() - start


def main() -> None:
    report = Report(
        "api_speed",
        "Annotation of GPT-2 from Python",
        "A process that weighs a training step of GPT-2 and prints the table, beside one that imports torch "
        "and transformers and captures the step; in turn, the medians.",
        {"process": "", "seconds": ".2f"},
    )
    rounds = [(seconds(IMPORT_AND_CAPTURE), seconds(WHOLE)) for _ in range(ROUNDS)]
    least_s, whole_s = (median(times) for times in zip(*rounds, strict=True))
    report.add("imports and capture", least_s)
    report.add("sy.annotate", whole_s)
    report.finish(f"{whole_s / least_s:.2f} times imports and capture", "1.3 times")


if __name__ == "__main__":
    main()
