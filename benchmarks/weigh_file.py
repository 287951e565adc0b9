"""Weigh and run the models of a Python file, a line of JSON each: `python benchmarks/weigh_file.py FILE.py`.

Every function `make*` of the file is a model. Each is weighed by `annotate` and run by `verify` on this CPU,
in inference and in training.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import steelyard as sy
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.write import write_device
from steelyard.runtime.program.load import load_model
from steelyard.runtime.timing.host_cpu import host_instruction_set
from steelyard.runtime.verify.verify import verify


def functions(file: Path) -> list[str]:
    """The functions of a file that return a model."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line[4 : line.index("(")] for line in lines if line.startswith("def make")]


def _brief(text: object) -> str:
    """Text in one line, with files named by their last part."""
    return re.sub(r"(?<!\w)/\S*/", "", " ".join(str(text).split()))


def weigh(spec: str, train: bool, device: str) -> dict[str, Any]:
    """What is said of a step, and what was measured of it; or the error."""
    try:
        weighing = sy.annotate(spec, train=train, target=device)
        totals: Any = weighing.program.totals
        found = verify(*load_model(spec, {"train": train}), device, least_s=0.0)
    except sy.SteelyardError as error:
        return {"refused": _brief(error)}
    except Exception as error:
        return {"died": f"{type(error).__name__}: {_brief(error)}"}
    return {
        "flops": totals["work"]["flops"]["contraction"],
        "flops_torch": found.flops_torch,
        "unknown": totals["work"]["unknown_by_op"],
        "assumptions": [_brief(each) for each in weighing.summary.assumptions],
        "memory_bytes": asdict(found.peak_memory_bytes),
        "different": found.different,
        "not_compared": found.not_compared,
    }


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """A row for each model of a file and each mode."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "this-cpu.toml"  # a CPU with the instructions whose kernels run here
        write_device(here, replace(load_device("cpu"), instruction_set=host_instruction_set()))
        for function in functions(file):
            for train in (False, True):
                mode = "train" if train else "inference"
                yield {
                    "model": f"{file.stem}:{function}",
                    "mode": mode,
                    **weigh(f"{file}:{function}", train, str(here)),
                }


if __name__ == "__main__":
    for row in rows(Path(sys.argv[1])):
        print(json.dumps(row), flush=True)
