"""Models as people have them: `python benchmarks/cases.py [NAME ...]`, of the folder ../shared/cases.

Each model is weighed and run in inference and training, the models of a file in a process of their own, so
that one that dies takes no other along. FLOPs of contractions are compared with those of `cases.toml`, or
else with torch's counter; the peak of memory with the events of the allocator in the steady state; results,
gradients and updated parameters with eager PyTorch, bit for bit.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from report import Report, arguments

CASES = Path(__file__).parents[2] / "shared" / "cases"
EXPECTED = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
NEAR, NEAR_BYTES = 0.02, 4096
"""Error of a peak that counts as right. A few scalars of small models are in no account of tensors."""
_LIMIT_S = 900


def weigh(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file's models; the last one says so where the process dies."""
    command = [sys.executable, str(Path(__file__).with_name("weigh_file.py")), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    for line in done.stdout.splitlines():
        if line.startswith('{"model"'):
            yield json.loads(line)
    if done.returncode:
        yield {"model": file.stem, "mode": "", "died": f"exit code {done.returncode}"}


def expected_flops(row: dict[str, Any]) -> tuple[int | None, str]:
    """The FLOPs that a row must have, and how they were found."""
    entry = EXPECTED.get(row["model"], {})
    if row["mode"] in entry:
        return entry[row["mode"]], entry["how"]
    return row["flops_torch"], "torch's counter"


def faults(row: dict[str, Any]) -> list[str]:
    """Everything of a row that is not as it must be."""
    if "refused" in row and row["mode"] in EXPECTED.get(row["model"], {}).get("refused", ()):
        return []
    for fault in ("died", "refused"):
        if fault in row:
            return [f"{fault}: {row[fault]}"]
    flops, _ = expected_flops(row)
    memory = row["memory_bytes"]
    off_bytes = memory["predicted"] - memory["measured"]
    found = list[str]()
    if flops not in (None, row["flops"]):
        found.append(f"FLOPs {row['flops']:,} for {flops:,}")
    if abs(off_bytes) > max(NEAR_BYTES, NEAR * memory["measured"]):
        found.append(f"memory {memory['predicted'] / memory['measured']:.3f}")
    if row["different"]:
        found.append(f"{len(row['different'])} results differ")
    if row["not_compared"]:
        found.append(f"not compared: {row['not_compared']}")
    return found + [f"unknown: {name} ({count})" for name, count in row["unknown"].items()]


def main() -> None:
    report = Report(
        "cases",
        "Models as people have them",
        "Small models, each with something that users of such tools report as broken: FLOPs of contractions, "
        "the peak of memory by the CPU allocator's events, and results beside eager PyTorch bit for bit.",
        {
            "model": "",
            "mode": "",
            "FLOPs": ",",
            "expected": ",",
            "by": "",
            "peak, predicted / measured": ".3f",
            "measured bytes": ",.0f",
            "assumed": "",
            "wrong": "",
        },
    )
    chosen = arguments()
    count = right = 0
    for file in sorted(CASES.glob("*.py")):
        if chosen and not any(file.stem.startswith(name) for name in chosen):
            continue
        for row in weigh(file):
            wrong = faults(row)
            count += 1
            right += not wrong
            memory = row.get("memory_bytes")
            report.add(
                row["model"],
                row["mode"],
                row.get("flops"),
                *(expected_flops(row) if memory else (None, "")),
                memory and memory["predicted"] / memory["measured"],
                memory and memory["measured"],
                "; ".join(row.get("assumptions", ())),
                "; ".join(wrong),
            )
    report.finish(f"{right} of {count} right", "all; memory within 2% or 4 KiB")


if __name__ == "__main__":
    main()
