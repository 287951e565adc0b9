"""The measured rung: kernels of the local profile, and those that lie between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.base.spread import ErrorBand, conformal_spread
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.local_profile import Profile, local_profile

Modelled = Callable[[KernelBatch], Latencies]

REACH_OCTAVES = 1.0
"""How far from the nearest measured kernel one may lie: half or twice as large in one dim. See
docs/adr/0005-local-profile.md."""

NEIGHBOURS = 8
FEWEST_POINTS = 8
"""Kernels of a kind and type that must have been measured for others to lie between them."""

_SLACK = 1e-9


def measured_prices(
    device: Device, context: ExecutionContext, queries: KernelBatch, modelled: Modelled
) -> tuple[NDArray[np.bool_], Latencies] | None:
    """Return which kernels the local profile knows, and the prices of those; None where it knows none.

    A kernel that was measured has its median and the interval of its repeats. One among those that were has
    the time of the rung below (the roofline where no model knows the device) over the utilisation of its
    neighbours, modelled over measured time, the mean of whose logarithms is weighted by the inverse square of
    the distance in octaves (Shepard, ACM National Conference 1968); its interval is that of the measured
    kernels, each predicted from the others.

    Args:
        device: The device.
        context: How the kernels are run.
        queries: The kernels.
        modelled: Prices kernels by the rungs below.

    Raises:
        DeviceError: The profile is damaged, or the device lacks what the work needs.
    """
    profile = local_profile(device, context)
    if profile is None or (queries.kind, queries.dtype) not in profile.kernels:
        return None
    cloud = _cloud(profile, queries.kind, queries.dtype, modelled)
    exact = np.array([cloud.rows.get(key, -1) for key in _keys(queries)])
    near, log_ratio = cloud.between(queries)
    near &= exact < 0
    rows = near | (exact >= 0)
    if not rows.any():
        return None
    asked = take(queries, rows)
    base = modelled(asked)
    exact, near, log_ratio = exact[rows], near[rows], log_ratio[rows]
    value_s = np.where(near, base.value_s * np.exp(log_ratio), cloud.median_s[exact])
    low_s, high_s = cloud.low_s[exact], cloud.high_s[exact]
    if cloud.spread is not None:
        near_low_s, near_high_s = cloud.spread.interval(value_s, np.zeros_like(value_s))
        low_s, high_s = np.where(near, near_low_s, low_s), np.where(near, near_high_s, high_s)
    source = np.where(near, "interpolated", "measured")
    return rows, LatencyEstimate(value_s, low_s, high_s, base.limiter, source)


def take(queries: KernelBatch, rows: NDArray[np.bool_]) -> KernelBatch:
    """Return some of many kernels."""
    return replace(queries, dims={dim: column[rows] for dim, column in queries.dims.items()})


@dataclass(frozen=True, slots=True)
class _Cloud:
    """The measured kernels of one kind and type.

    Attributes:
        rows: The position of each by its dims.
        neighbourhoods: The kernels of each word.
        median_s: What it took.
        low_s: The lower end of that.
        high_s: The upper end.
        log_ratio: Log of measured over modelled time, the inverse of utilisation.
        spread: Measured over predicted time where each is predicted from the others; None where too few are.
    """

    rows: dict[tuple[str, ...], int]
    neighbourhoods: "dict[str, _Neighbourhood]"
    median_s: Floats
    low_s: Floats
    high_s: Floats
    log_ratio: Floats
    spread: ErrorBand | None

    def between(self, queries: KernelBatch) -> tuple[NDArray[np.bool_], Floats]:
        """Return which kernels lie among the measured ones, and their log ratios."""
        if self.spread is None:
            return np.zeros(len(queries), bool), np.zeros(len(queries))
        kind = KINDS[queries.kind]
        where, labels = kind.coordinates(queries.dims), kind.labels(queries.dims)
        return _between(where, labels, self.neighbourhoods, self.log_ratio)


class _Neighbourhood:
    """Measured kernels of one word, with a tree of their features.

    Attributes:
        points: Their positions in the table.
        low: The least of each feature.
        high: The largest.
        tree: What finds the nearest.
    """

    def __init__(self, points: NDArray[np.int64], where: Floats) -> None:
        from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs] - slow to import

        self.points = points
        self.low, self.high = where[points].min(0), where[points].max(0)
        self.tree: Any = KDTree(where[points])

    def nearest(self, asked: Floats, skip: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return distances and positions of the points next to each row, the nearest first, some left out."""
        last = min(NEIGHBOURS + skip, len(self.points))
        distance, found = self.tree.query(asked, k=list(range(1 + skip, last + 1)))
        return distance, self.points[found]


@lru_cache(maxsize=64)
def _cloud(profile: Profile, kind: str, dtype: DType, modelled: Modelled) -> _Cloud:
    alike: dict[str, list[tuple[float, float, float]]] = {}
    for each in profile.kernels[kind, dtype]:  # the same kernel may serve several ops
        alike.setdefault(each.dims, []).append((each.median_s, each.low_s, each.high_s))
    records = [dict(word.split("=", 1) for word in text.split()) for text in alike]
    dims = {
        name: np.array([record[name] if dim.words else int(record[name]) for record in records])
        for name, dim in KINDS[kind].dims.items()
    }
    queries = KernelBatch(kind, dtype, dims)
    medians, lows, highs = zip(*(zip(*group, strict=True) for group in alike.values()), strict=True)
    median_s = np.array([median(each) for each in medians])
    base_s = modelled(queries).value_s
    where, labels = KINDS[kind].coordinates(dims), KINDS[kind].labels(dims)
    log_ratio: Floats = np.log(median_s / base_s)
    neighbourhoods = {
        str(word): _Neighbourhood(np.flatnonzero(labels == word), where) for word in np.unique(labels)
    }
    near, left_out = _between(where, labels, neighbourhoods, log_ratio, others=True)
    predicted_s = base_s * np.exp(left_out)
    enough = int(near.sum()) >= FEWEST_POINTS
    return _Cloud(
        rows={key: row for row, key in enumerate(_keys(queries))},
        neighbourhoods=neighbourhoods,
        median_s=median_s,
        low_s=np.array([min(each) for each in lows]),
        high_s=np.array([max(each) for each in highs]),
        log_ratio=log_ratio,
        spread=conformal_spread(predicted_s[near], median_s[near]) if enough else None,
    )


def _between(
    asked: Floats,
    labels: Column,
    neighbourhoods: Mapping[str, _Neighbourhood],
    values: Floats,
    *,
    others: bool = False,
) -> tuple[NDArray[np.bool_], Floats]:
    """Return which rows lie among points of their word, and the mean of the values of the points near them.

    Args:
        asked: Features of the rows, [rows, features].
        labels: The word of each row.
        neighbourhoods: The points, by word.
        values: What each point has.
        others: The rows are the points, and each is asked of the others alone.
    """
    among, means = np.zeros(len(asked), bool), np.zeros(len(asked))
    for word in np.unique(labels):
        around = neighbourhoods.get(str(word))
        if around is None or len(around.points) <= int(others):
            continue
        rows = np.flatnonzero(labels == word)
        inside = (asked[rows] >= around.low - _SLACK) & (asked[rows] <= around.high + _SLACK)
        distance, nearest = around.nearest(asked[rows], skip=int(others))
        weight = 1 / np.maximum(distance, _SLACK) ** 2
        means[rows] = (weight * values[nearest]).sum(axis=1) / weight.sum(axis=1)
        among[rows] = inside.all(axis=1) & (distance[:, 0] <= REACH_OCTAVES)
    return among, means


def _keys(queries: KernelBatch) -> list[tuple[str, ...]]:
    columns = [np.asarray(queries.dims[dim]).astype(str).tolist() for dim in KINDS[queries.kind].dims]
    return list(zip(*columns, strict=True))
