"""The 90% intervals of the analytic rung, and of sums of kernels."""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from math import hypot
from typing import Any

from steelyard.hw.base.kernel_work import DType
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.devices.typical_factors import SPREAD_ANALYTIC

_UNKNOWN = ErrorBand(low=(1 / SPREAD_ANALYTIC,), high=(SPREAD_ANALYTIC,))


@cache
def analytic_spread(kind: str, dtype: DType, compute_capability: str | None = None) -> ErrorBand:
    """Return how far off a model is on a device that its constants were not fitted on.

    `hw/latency/intervals.toml` holds it by kind, and by type where that was measured; other types take that
    of all types together, and kinds that nobody measured the spread of a roofline.

    Args:
        kind: The kind of the kernels.
        dtype: Their type.
        compute_capability: That of the device. Where the constants were fitted on another device of it the
            spread is that of siblings, else that of strangers.
    """
    by_type = _table().get(kind, {})
    entry = by_type.get(dtype) or by_type.get("any")
    if entry is None:
        return _UNKNOWN
    spread = entry["sibling" if compute_capability in entry["measured"] else "stranger"]
    return ErrorBand(up_to_s=tuple(spread["up_to_s"]), low=tuple(spread["low"]), high=tuple(spread["high"]))


def combine(
    groups: Sequence[object], values: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> tuple[float, float, float]:
    """Return the sum of times and its 90% interval, all in the unit of the times.

    What is wrong with one kernel of a kind is wrong with all of that kind, so that within a kind deviations
    add up; those of different kinds are independent, so that their squares do. Both hold for lopsided
    intervals one side at a time.

    Args:
        groups: What each kernel's error goes with, its kind for instance.
        values: The expected times.
        lows: The lower ends of their intervals.
        highs: The upper ends.
    """
    below: dict[object, float] = {}
    above: dict[object, float] = {}
    for group, value, low, high in zip(groups, values, lows, highs, strict=True):
        below[group] = below.get(group, 0.0) + value - low
        above[group] = above.get(group, 0.0) + high - value
    total = sum(values)
    return total, total - hypot(*below.values()), total + hypot(*above.values())


@cache
def _table() -> dict[str, Any]:
    path = files("steelyard.hw.latency") / "intervals.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["analytic"]
