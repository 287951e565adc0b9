"""Fit the 90% intervals of devices that nothing was measured on, and write hw/latency/intervals.toml.

    python benchmarks/fit_intervals.py ../shared/measured [kind ...]

Kinds that are not named keep what the file says of them.

A sibling of a measured device gets the constants of its compute capability, a stranger those of another. Both
are played through on each measured device: its own constants, and those of the devices measured next to it in
time; what was measured of its host is left out each time. Prints the coverage of each device's rows by the
intervals from all other devices.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measured_tables import load_tables
from unseen import played_as_unseen

import steelyard.hw.latency
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.base.spread import ErrorBand, conformal_spread
from steelyard.hw.devices.device import Device
from steelyard.hw.fitting.fit_coefficients import Case
from steelyard.hw.kernels.common.kernel_model import KernelModel
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.registry import KINDS

ROWS = 1000
"""Of each device, so that all count alike."""

LEAST_SYMMETRY = 0.5

HEAD = """\
# Measured over predicted time of nine kernels in ten, on devices that a model's constants were not
# fitted on. Written by benchmarks/fit_intervals.py from NeuSight (6945927, f32, eager) and
# aiconfigurator (095f58a, bf16, CUDA graphs); `any` is all types together.

[analytic]
"""

PASCAL = {"6.0": "sm_60", "6.1": "sm_61"}
"""For f32 products cuBLAS has other kernels on Pascal (`maxwell_sgemm`) than on all later devices, so that
they say nothing of one that is still to come."""


@dataclass(frozen=True)
class Played:
    """What is said of a device as if it had not been seen, a row each."""

    device: Device
    sibling: bool
    predicted_s: Floats
    measured_s: Floats


def played(model: KernelModel, case: Case) -> Iterator[Played]:
    """Yield the predictions of a device as a sibling and as a stranger."""
    rows = np.random.default_rng(0).permutation(len(case.measured_s))[:ROWS]
    part = case.take(rows)
    left_out = PASCAL if model.kind in ("gemm", "bmm") and case.dtype == "f32" else {}
    if case.device.compute_capability in left_out:
        return
    for index, (name, predicted_s) in enumerate(played_as_unseen(model, part)):
        if name in left_out.values():
            continue
        yield Played(case.device, index == 0, predicted_s, part.measured_s)


def spread_of(parts: list[Played]) -> ErrorBand:
    """Return the spread of all parts together, made fit for a device that is none of them.

    It is widened in logs by sqrt(1 + 1 / devices), the factor between the spread of a sample and that of a
    new observation. And since two to five devices may all happen to err to one side, no end is nearer than
    half as far as the other, in logs.
    """
    spread = conformal_spread(*_joined(parts))
    wider = float(np.sqrt(1 + 1 / len({part.device.name for part in parts})))
    ends = [(low**wider, high**wider) for low, high in zip(spread.low, spread.high, strict=True)]
    lows = (min(low, high**-LEAST_SYMMETRY) for low, high in ends)
    highs = (max(high, low**-LEAST_SYMMETRY) for low, high in ends)
    return replace(spread, low=tuple(map(_rounded, lows)), high=tuple(map(_rounded, highs)))


def _rounded(end: float) -> float:
    return float(f"{end:.4g}")


def coverage(spread: ErrorBand, parts: list[Played]) -> float:
    """Return the share of rows inside their interval."""
    predicted, measured = _joined(parts)
    low, high = spread.interval(predicted, np.zeros_like(predicted))
    return float(((low <= measured) & (measured <= high)).mean())


def _joined(parts: list[Played]) -> tuple[Floats, Floats]:
    return (
        np.concatenate([part.predicted_s for part in parts]),
        np.concatenate([part.measured_s for part in parts]),
    )


def _lines(kind: str, dtype: str, parts: list[Played]) -> Iterator[str]:
    devices = {part.device.name: part.device.compute_capability or "" for part in parts}
    yield f"\n# {', '.join(sorted(devices))}"
    yield f"[analytic.{kind}.{dtype}]"
    yield f"measured = [{', '.join(json.dumps(name) for name in sorted(set(devices.values())))}]"
    for name, sibling in (("sibling", True), ("stranger", False)):
        spread = spread_of([part for part in parts if part.sibling == sibling])
        yield f"\n[analytic.{kind}.{dtype}.{name}]"
        yield f"up_to_s = {list(spread.up_to_s)}"
        yield f"low = {list(spread.low)}"
        yield f"high = {list(spread.high)}"


def _report(kind: str, dtype: DType, parts: list[Played]) -> None:
    for sibling in (True, False):
        alike = [part for part in parts if part.sibling == sibling]
        for device in sorted({part.device.name for part in alike}):
            own = [part for part in alike if part.device.name == device]
            covered = coverage(spread_of([part for part in alike if part.device.name != device]), own)
            print(f"{kind:18}{dtype:5}{'sibling' if sibling else 'stranger':9}{device:18}{covered:7.1%}")


def main() -> None:
    root, wanted = Path(sys.argv[1]), set(sys.argv[2:])
    found: dict[str, dict[DType, list[Played]]] = {}
    for name, table in load_tables(root).items():
        if name.startswith("deepbench"):  # kept to check what came out
            continue
        for kind, case in table.cases():
            if not wanted or kind in wanted:
                found.setdefault(kind, {}).setdefault(case.dtype, []).extend(played(KINDS[kind].model, case))
    path = Path(steelyard.hw.latency.__file__).parent / "intervals.toml"
    sections = _sections(path.read_text(encoding="utf-8"))
    for kind, types in found.items():
        lines: list[str] = []
        for dtype, parts in types.items():
            _report(kind, dtype, parts)
            lines += _lines(kind, dtype, parts)
        lines += _lines(kind, "any", [part for parts in types.values() for part in parts])
        sections[kind] = "\n".join(lines)
    path.write_text(HEAD + "\n".join(sections.values()) + "\n", encoding="utf-8")


def _sections(text: str) -> dict[str, str]:
    """Return what the file says of each kind; every table has a comment and an empty line before it."""
    sections: dict[str, str] = {}
    for table in re.split(r"\n(?=\n#)", text)[1:]:
        kind = re.findall(r"^\[analytic\.(\w+)\.", table, re.MULTILINE)[0]
        sections[kind] = "\n".join(filter(None, (sections.get(kind), table.rstrip("\n"))))
    return sections


if __name__ == "__main__":
    main()
