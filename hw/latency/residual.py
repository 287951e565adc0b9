"""Residual correction of a fitted model: a smooth function of the dims through calibration points."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from steelyard.hw.base.kernel_kinds import CATEGORICAL_DIMS, DIMS, KernelKind
from steelyard.hw.devices.fitted_models import Point, Residual
from steelyard.hw.kernels.common.features import features, words
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

OTHER_WORD = 0.5
"""Correlation of the errors of two functions, or two directions, at the same sizes."""

_CHUNK = 8192


def residual_at(residual: Residual, kind: KernelKind, dims: Mapping[str, Column]) -> Floats:
    """Return the log ratio of measured over modelled time to expect of each kernel."""
    where, labels, weights = _solved(residual, kind)
    asked, asked_labels = features(kind, dims) / np.array(residual.octaves), words(kind, dims)
    found = np.empty(len(asked))
    for start in range(0, len(asked), _CHUNK):  # so that memory stays bounded
        part = slice(start, start + _CHUNK)
        found[part] = covariance(asked[part], asked_labels[part], where, labels) @ weights
    return found + residual.offset


def within_points(residual: Residual, kind: KernelKind, dims: Mapping[str, Column]) -> Column:
    """Return whether each kernel lies among the points: between them in each direction, same word."""
    where, labels, _ = _solved(residual, kind)
    asked = features(kind, dims) / np.array(residual.octaves)
    slack = 1e-9
    inside = np.logical_and(asked >= where.min(0) - slack, asked <= where.max(0) + slack).all(axis=1)
    return inside & np.isin(words(kind, dims), labels)


def covariance(left: Floats, left_words: Column, right: Floats, right_words: Column) -> Floats:
    """Return the covariance of two sets of kernels, [left, right], in units of the function's variance.

    Args:
        left: Features in units of their lengths, [rows, features].
        left_words: The word of each row.
        right: The same of the other set.
        right_words: The same of the other set.
    """
    squares = np.zeros((len(left), len(right)))
    for feature in range(left.shape[1]):
        squares += np.subtract.outer(left[:, feature], right[:, feature]) ** 2
    same = np.equal.outer(left_words, right_words)
    return np.exp(-np.sqrt(squares)) * np.where(same, 1.0, OTHER_WORD)


def columns_of(kind: KernelKind, points: tuple[Point, ...]) -> dict[str, Column]:
    """Return the dims of points as the columns of a query."""
    return {
        dim: np.array(
            [point[index] for point in points], dtype=None if dim in CATEGORICAL_DIMS else np.float64
        )
        for index, dim in enumerate(DIMS[kind])
    }


@lru_cache(maxsize=256)
def _solved(residual: Residual, kind: KernelKind) -> tuple[Floats, Column, Floats]:
    """Return the features of the points in their lengths, their words and their weights."""
    dims = columns_of(kind, residual.points)
    where, labels = features(kind, dims) / np.array(residual.octaves), words(kind, dims)
    values = np.array([float(point[-1]) for point in residual.points])
    matrix = covariance(where, labels, where, labels) + residual.noise * np.eye(len(values))
    return where, labels, np.linalg.solve(matrix, values).astype(np.float64)
