"""Fit the 90% intervals of devices that nothing was measured on, and write hw/kernels/intervals.toml.

    python benchmarks/fit_intervals.py ../shared/measured

An unseen device gets the constants of its architecture where a sibling was measured, else those of another
architecture. Both are played through on each measured device, with equal weight: its own architecture's
constants, and those of the architectures measured next to it in time. What was measured of its host is left
out each time. Prints the coverage of each device's rows by the intervals from all other devices.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measured_tables import load_tables
from unseen import played_as_unseen

import steelyard.hw.kernels
from steelyard.hw.kernels.fit import Case
from steelyard.hw.kernels.model import KernelModel
from steelyard.hw.kernels.models import MODELS
from steelyard.hw.kernels.query import Floats, KernelKind
from steelyard.hw.kernels.spread import Spread, conformal_spread
from steelyard.hw.work import DType

ROWS = 1000
"""Of each device, so that all count alike."""


@dataclass(frozen=True)
class Played:
    """What is said of a device as if it had not been seen, a row each."""

    device: str
    predicted_s: Floats
    measured_s: Floats


def played(model: KernelModel, case: Case) -> Iterator[Played]:
    """Yield the sibling and the foreign predictions of a device, as many of one as of the other."""
    rows = np.random.default_rng(0).permutation(len(case.measured_s))[:ROWS]
    part = case.take(rows)
    predictions = list(played_as_unseen(model, part))
    for architecture, predicted_s in predictions:
        copies = len(predictions) - 1 if architecture == case.device.architecture else 1
        yield Played(case.device.name, np.tile(predicted_s, copies), np.tile(part.measured_s, copies))


def spread_of(parts: list[Played]) -> Spread:
    """Return the spread of all parts together, widened since a new device is a draw of its own.

    In logs by sqrt(1 + 1 / devices), the factor between the spread of a sample and that of a new observation.
    """
    spread = conformal_spread(*_joined(parts))
    wider = np.sqrt(1 + 1 / len({part.device for part in parts}))
    low, high = (tuple(float(f"{end**wider:.4g}") for end in ends) for ends in (spread.low, spread.high))
    return replace(spread, low=low, high=high)


def coverage(spread: Spread, parts: list[Played]) -> float:
    """Return the share of rows inside their interval."""
    predicted, measured = _joined(parts)
    low, high = spread.around(predicted, np.zeros_like(predicted))
    return float(((low <= measured) & (measured <= high)).mean())


def _joined(parts: list[Played]) -> tuple[Floats, Floats]:
    return (
        np.concatenate([part.predicted_s for part in parts]),
        np.concatenate([part.measured_s for part in parts]),
    )


def _lines(kind: KernelKind, dtype: str, spread: Spread, devices: set[str]) -> list[str]:
    return [
        "",
        f"# {', '.join(sorted(devices))}",
        f"[analytic.{kind}.{dtype}]",
        f"up_to_s = {list(spread.up_to_s)}",
        f"low = {list(spread.low)}",
        f"high = {list(spread.high)}",
    ]


def main() -> None:
    tables = load_tables(Path(sys.argv[1]))
    found: dict[KernelKind, dict[DType, list[Played]]] = {}
    for name, table in tables.items():
        if name.startswith("deepbench"):  # kept to check what came out
            continue
        for kind, case in table.cases():
            found.setdefault(kind, {}).setdefault(case.dtype, []).extend(played(MODELS[kind], case))
    lines = [
        "# Measured over predicted time of nine kernels in ten, on devices that a model's constants were not",
        "# fitted on. Written by benchmarks/fit_intervals.py from NeuSight (6945927, f32, eager) and",
        "# aiconfigurator (095f58a, bf16, CUDA graphs); `any` is all types together.",
        "",
        "[analytic]",
    ]
    for kind, types in found.items():
        for dtype, parts in types.items():
            devices = {part.device for part in parts}
            lines += _lines(kind, dtype, spread_of(parts), devices)
            for device in sorted(devices):
                own = [part for part in parts if part.device == device]
                others = [part for part in parts if part.device != device]
                print(f"{kind:18}{dtype:5}{device:18}{coverage(spread_of(others), own):7.1%}")
        every = [part for parts in types.values() for part in parts]
        lines += _lines(kind, "any", spread_of(every), {part.device for part in every})
    path = Path(steelyard.hw.kernels.__file__).parent / "intervals.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
