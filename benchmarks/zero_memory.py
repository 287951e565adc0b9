"""Bytes that ZeRO shares out, beside the difference that torchtitan reports between 8 and 128 GPUs.

python benchmarks/zero_memory.py ../shared/measured

Both runs of Llama 3.1 8B have the same batch on each GPU, so that activations cancel out and what remains is
parameters, gradients and the state of AdamW, all in f32, by eighths and by 128ths.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

from report import Report, arguments

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.hw.devices.registry import load_device
from steelyard.passes.memory.step_memory import StepMemory, step_memory
from steelyard.passes.memory.zero import Zero
from steelyard.runtime.program.load import load_costed

LLAMA = (
    "hf:llama?hidden_size=4096&intermediate_size=14336&num_hidden_layers=32&num_attention_heads=32"
    "&num_key_value_heads=8&vocab_size=128256"
)
STATES = ("parameter", "gradient", "optimizer_state")
GIB = 2**30


def state_bytes(memory: StepMemory) -> Counter[str]:
    """Return the bytes of parameters, gradients and optimizer state of one rank."""
    sizes = Counter[str]()
    for event in memory.steady:
        if event.bytes > 0 and memory.category(event.storage) in STATES:
            sizes[memory.category(event.storage)] += event.bytes
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("measured", type=Path, help="the folder of the sources")
    path = parser.parse_args(arguments()).measured / "papers/torchtitan_llama3.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["model"] == "Llama3.1-8B"]
    reported = {
        row["gpus"]: float(row["memory_gib_max_over_ranks"])
        for row in rows
        if row["techniques"] == "eager bf16" and row["ac"] == "selective"
    }
    device = load_device("h100-sxm")
    memory = step_memory(Analyses(load_costed(LLAMA, {"train": True, "sequence": 16}, "h100-sxm")), device)
    sizes = {ranks: state_bytes(Zero(3, ranks).memory(memory)) for ranks in (8, 128)}
    report = Report(
        "zero_memory",
        "Memory that ZeRO shares out",
        "Llama 3.1 8B with AdamW, f32 state: what a rank of 8 holds beyond one of 128, beside the difference "
        "that torchtitan reports at the same batch.",
        {"ranks": ",", "parameters, GiB": ".2f", "gradients, GiB": ".2f", "optimizer state, GiB": ".2f"},
    )
    for ranks, each in sizes.items():
        report.add(ranks, *(each[name] / GIB for name in STATES))
    ours = (sizes[8].total() - sizes[128].total()) / GIB
    theirs = reported["8"] - reported["128"]
    report.finish(f"predicted {ours:.1f} GiB, reported {theirs:.1f} GiB, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
