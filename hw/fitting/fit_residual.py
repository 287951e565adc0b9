"""Fitting what a model leaves: which points to keep, and how far each of them reaches."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.devices.fitted_models import Point, Residual
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.residual import covariance

MOST_POINTS = 200
FOLDS = 5
_START_OCTAVES = (1.0, 2.0, 4.0, 8.0, 16.0)
_FACTORS = (0.5, 2.0, 4.0)
_NOISES = (0.02, 0.1, 0.5, 2.0)
_WORTH = 0.97
"""The part of the error that must be left for points to be kept; else they follow noise."""

_OFFSET_ROWS = 4.0
"""Rows that an offset of 0 counts as."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Rows with the positions of the points among them."""

    where: Floats
    labels: Column
    ratios: Floats
    points: NDArray[np.int64]


def fit_residual(
    kind: str, dims: Mapping[str, Column], ratios: Floats, most_points: int = MOST_POINTS
) -> Residual | None:
    """Return the smooth part of log ratios, or None where they follow no pattern that helps with other rows.

    With more rows than points the function is the best in the least-squares sense through all of them
    (subset of regressors; Rasmussen and Williams, 2006, section 8.3.1); with as many it is plain regression.
    Lengths and noise are those with the least error in five folds.

    Args:
        kind: The kind of the kernels.
        dims: Their dims.
        ratios: Log of measured over modelled time.
        most_points: How many points to keep.
    """
    offset = float(np.median(ratios)) * len(ratios) / (len(ratios) + _OFFSET_ROWS)
    where, labels = KINDS[kind].coordinates(dims), KINDS[kind].labels(dims)
    sample = _Sample(where, labels, ratios - offset, spread_out(where, labels, most_points))
    octaves, noise, error = _best_lengths(sample)
    if error > _WORTH * np.abs(sample.ratios).mean():
        return None
    matrix = _matrix(sample, octaves, sample.points)
    weights = _weights(matrix, _matrix(sample, octaves, slice(None)), sample.ratios, noise)
    values = matrix @ weights + noise * weights  # reading solves for the weights again
    points = [_point(kind, dims, row, value) for row, value in zip(sample.points, values, strict=True)]
    return Residual(
        offset=round(offset, 5),
        octaves=tuple(float(f"{length:.4g}") for length in octaves),
        noise=noise,
        points=tuple(points),
    )


def spread_out(where: Floats, labels: Column, most: int) -> NDArray[np.int64]:
    """Return the positions of at most so many rows, each as far as can be from those before it.

    Gonzalez's farthest-first traversal (1985), from the row nearest to the middle; rows of another word are
    far. Rows at the same place are taken once.

    Args:
        where: Features, [rows, features].
        labels: The word of each row.
        most: How many to return at most.
    """
    _, codes = np.unique(labels, return_inverse=True)
    scaled = where / np.maximum(np.ptp(where, axis=0), 1e-9)
    scaled = np.concatenate([scaled, codes[:, None]], axis=1)
    first = int(np.argmin(((scaled - np.median(scaled, axis=0)) ** 2).sum(axis=1)))
    chosen = [first]
    nearest = ((scaled - scaled[first]) ** 2).sum(axis=1)
    while len(chosen) < min(most, len(where)):
        next_row = int(np.argmax(nearest))
        if nearest[next_row] == 0.0:
            break
        chosen.append(next_row)
        nearest = np.minimum(nearest, ((scaled - scaled[next_row]) ** 2).sum(axis=1))
    return np.array(chosen)


def _best_lengths(sample: _Sample) -> tuple[Floats, float, float]:
    """Return lengths, noise and their error: the best common length, then each direction by itself."""
    count = sample.where.shape[1]
    starts = [(np.full(count, length), noise) for length in _START_OCTAVES for noise in _NOISES]
    octaves, noise = min(starts, key=lambda choice: _error(sample, *choice))
    error = _error(sample, octaves, noise)
    for feature in range(count):
        for factor in _FACTORS:
            changed = octaves.copy()
            changed[feature] *= factor
            changed_error = _error(sample, changed, noise)
            if changed_error < error:
                octaves, error = changed, changed_error
    return octaves, noise, error


def _error(sample: _Sample, octaves: Floats, noise: float) -> float:
    """Return the mean error of rows that were left out."""
    points, every = _matrix(sample, octaves, sample.points), _matrix(sample, octaves, slice(None))
    rows = np.arange(len(sample.ratios))
    total = 0.0
    for fold in range(FOLDS):
        held = rows % FOLDS == fold
        if held.any():
            weights = _weights(points, every[~held], sample.ratios[~held], noise)
            total += np.abs(sample.ratios[held] - every[held] @ weights).sum()
    return total / len(rows)


def _weights(points: Floats, seen: Floats, ratios: Floats, noise: float) -> Floats:
    """Return the weight of each point from covariances of the points and of the rows seen with them."""
    left = seen.T @ seen + noise * points + 1e-9 * np.eye(len(points))
    return np.linalg.solve(left, seen.T @ ratios).astype(np.float64)


def _matrix(sample: _Sample, octaves: Floats, rows: NDArray[np.int64] | slice) -> Floats:
    where, points = sample.where / octaves, sample.points
    return covariance(where[rows], sample.labels[rows], where[points], sample.labels[points])


def _point(kind: str, dims: Mapping[str, Column], row: int, value: float) -> Point:
    known = KINDS[kind].dims.items()
    sizes = [str(dims[name][row]) if dim.words else float(dims[name][row]) for name, dim in known]
    return (*sizes, round(float(value), 4))
