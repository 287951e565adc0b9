"""Whole programs on GPUs: predictions beside what users measured, by class, source and device.

python benchmarks/programs.py ../shared/measured

A program is captured once, in a process of its own, and kept in `--captures`: the tables name many metrics of
the same program.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from statistics import fmean, median
from tempfile import gettempdir
from typing import Any

from report import Report, arguments
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.text import format_program, read_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import SteelyardError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.latency import HOST_DISPATCH
from steelyard.passes.annotate.target import Target
from steelyard.runtime.capacity.fits import MemoryBudget, check_fit
from steelyard.runtime.program.load import load_program

CAPTURES = Path(gettempdir()) / "steelyard-programs"

TARGETS = {
    "device-bound training": 0.10,
    "device-bound inference": 0.10,
    "host-bound": 0.25,
    "TF32 convolutions": 0.12,
    "half-precision NCHW": 0.12,
    "autocast transformers": 0.10,
    "compiled": 0.12,
    "memory": 0.04,
    "all times": 0.14,
}
"""Mean error asked for, by class."""


@dataclass(frozen=True)
class Row:
    """One measured number: the columns of the table by name."""

    columns: Mapping[str, str]
    folder: Path

    def __getattr__(self, name: str) -> str:
        return self.columns[name]

    @property
    def value(self) -> float:
        """The measured number."""
        return float(self.columns["value"])

    @property
    def program(self) -> dict[str, Any]:
        """What decides the captured program, besides the device."""
        names = ("model", "cfg", "mode", "batch", "sequence", "image", "dtype", "autocast", "optimizer")
        return {name: self.columns[name] for name in (*names, "dropout", "attention", "layout")}

    @property
    def device_name(self) -> str:
        """The device; an `@` marks one whose file is made from another's."""
        return self.columns["device"].removeprefix("@")

    def capture(self) -> ModuleOp:
        """Capture the program in this process, for the row's device."""
        kind, _, name = self.model.partition(":")
        configuration = json.loads(self.cfg or "{}")
        for key in ("batch", "sequence", "image", "layout", "attention"):
            if self.columns[key]:
                configuration[key] = self.columns[key]
        function = {"tv": "torchvision", "timm": "timm", "file": name}.get(kind)
        choices: dict[str, Any] = {"train": self.mode == "train", "dtype": self.dtype}
        if self.autocast:
            choices["autocast"] = self.autocast
        if self.mode == "train":
            choices |= {"optimizer": self.optimizer, "optimizer_implementation": self._implementation}
        if self.dropout == "1":
            choices["dropout"] = True
        if function:
            os.environ["TRUTH"] = json.dumps({**configuration, "name": name})
            return load_program(f"{self.folder / 'models.py'}:{function}", choices, device=self.device_name)
        query = "&".join(f"{key}={value}" for key, value in configuration.items())
        shapes = {key: int(self.columns[key]) for key in ("batch", "sequence") if self.columns[key]}
        return load_program(f"{self.model}?{query}", {**choices, **shapes}, device=self.device_name)

    @property
    def _implementation(self) -> str | None:
        note = self.note.lower()
        return next(
            (name for name in ("foreach", "fused") if name in note and self.optimizer != "none"), None
        )


@dataclass(frozen=True)
class Weighed:
    """A program weighed for one row."""

    row: Row
    module: ModuleOp

    @cached_property
    def latency(self) -> Mapping[str, Any]:
        """The annotated latency, in microseconds."""
        row = self.row
        release = re.search(r"PyTorch (\d+\.\d+)", row.software)
        target = Target(
            device=row.device_name,
            context=row.context or "eager",
            tf32=row.tf32 == "1",
            software=f"torch-{release[1]}" if release else "torch-1.9" if "1.x" in row.software else None,
        )
        annotate(self.module, target, program=Analyses(self.module))
        latency: Any = read_totals(self.module)["latency"]
        return latency

    def predicted(self) -> tuple[float, float, float] | None:
        """The predicted value of the row's metric with its interval; None where there is none."""
        if self.row.metric == "time_ms":
            latency = self.latency
            return latency["value_us"] / 1e3, latency["low_us"] / 1e3, latency["high_us"] / 1e3
        if self.row.metric in ("alloc_mib", "reserved_mib", "fits"):
            annotate(self.module, Target(device=self.row.device_name), program=Analyses(self.module))
            fit = check_fit(self.module, MemoryBudget(device=load_device(self.row.device_name)))
            if self.row.metric == "fits":
                return (float(fit.fits),) * 3
            peak = fit.peak_allocated_bytes if self.row.metric == "alloc_mib" else fit.peak_reserved_bytes
            return peak / 2**20, (peak - fit.unsure_bytes) / 2**20, (peak + fit.unsure_bytes) / 2**20
        return None

    @property
    def group(self) -> str:
        """The class in which the row is scored."""
        row = self.row
        if row.metric != "time_ms":
            return "verdicts" if row.metric == "fits" else "memory"
        if row.context in ("compiled", "graph"):
            return "compiled"
        by_limiter = self.latency["us_by_limiter"]
        if by_limiter.get(HOST_DISPATCH, 0.0) > 0.1 * sum(by_limiter.values()):
            return "host-bound"
        if row.kind == "cnn":
            if row.autocast or row.dtype == "float16":
                return f"half-precision {(row.layout or 'nchw').upper()}"
            if row.tf32 == "1":
                return "TF32 convolutions"
        elif row.autocast:
            return "autocast transformers"
        return f"device-bound {'training' if row.mode == 'train' else 'inference'}"


def rows_of(folder: Path, sources: list[str]) -> list[Row]:
    """Return the rows of the tables in a folder that a program of ours expresses."""
    rows: list[Row] = []
    for path in sorted(folder.glob("*.csv")):
        if sources and path.stem not in sources:
            continue
        with path.open(newline="", encoding="utf-8") as stream:
            rows += [Row(each, folder) for each in csv.DictReader(stream) if each["express"] != "no"]
    return rows


def captured(row: Row, captures: Path) -> ModuleOp | None:
    """Return the program of a row, captured by a process of its own where it is not kept."""
    key = sha256(json.dumps([row.program, row.device_name], sort_keys=True).encode()).hexdigest()[:16]
    kept = captures / f"{key}.mlir"
    if not kept.exists():
        command = [sys.executable, __file__, str(row.folder.parent), "--capture", row.id, "--to", str(kept)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            print(f"{row.id} {row.model}: not captured: {' '.join(reason)}", file=sys.stderr)
            return None
    return read_program(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("measured", type=Path, help="the folder of the sources")
    parser.add_argument("--captures", type=Path, default=CAPTURES, help="where programs are kept")
    parser.add_argument("--source", action="append", default=[], help="tables to take; all by default")
    parser.add_argument("--capture", help="capture the program of one row, for another process")
    parser.add_argument("--to", type=Path)
    given = parser.parse_args(arguments())
    rows = rows_of(given.measured / "programs", given.source)
    if given.capture:
        (row,) = (each for each in rows if each.id == given.capture)
        given.to.write_text(format_program(row.capture()), encoding="utf-8")
        return
    given.captures.mkdir(parents=True, exist_ok=True)
    report = Report(
        "programs",
        "Whole programs",
        "Steps and inferences that users measured on their GPUs, by class. The bias is the median error, "
        "the last column the share of rows within the 90% interval.",
        {
            "class or source": "",
            "rows": "d",
            "mean error": ".1%",
            "target": ".0%",
            "bias": "+.1%",
            "inside": ".0%",
        },
    )
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for row in rows:
        module = captured(row, given.captures)
        if module is None:
            continue
        weighed = Weighed(row, module)
        try:
            predicted = weighed.predicted()
        except SteelyardError as error:
            print(f"{row.id} {row.model}: {error}", file=sys.stderr)
            continue
        if predicted is None:
            continue
        value, low, high = predicted
        ratio = value / row.value if row.value else 1.0 + value
        entry = ratio - 1, low <= row.value <= high
        names = [weighed.group]
        if row.metric == "time_ms":
            names += [f"times of {row.source}", "all times"]
        for name in names:
            found[name].append(entry)
        print(
            f"{weighed.group:26} {row.id:26} {row.device_name:14} {row.model:24} {row.mode:5} {row.batch:>4} "
            f"{row.sequence:>5} {row.dtype}{'+' + row.autocast if row.autocast else ''} {row.layout} "
            f"{row.attention} {row.context} {row.metric} {row.value:10.3f} {value:10.3f} {ratio:6.3f}",
            file=sys.stderr,
        )
    for group, entries in sorted(found.items(), key=lambda each: (each[0].startswith("times of"), each[0])):
        errors = [error for error, _ in entries]
        report.add(
            group,
            len(entries),
            fmean(map(abs, errors)),
            TARGETS.get(group),
            median(errors),
            fmean(inside for _, inside in entries),
        )
    times = [error for error, _ in found["all times"]]
    report.finish(f"{fmean(map(abs, times)):.1%} mean of {len(times)} times", "14%")


if __name__ == "__main__":
    main()
