"""What is left of the error of a fitted model: a smooth function of the dims through calibration points."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from steelyard.hw.kernels.features import features, words
from steelyard.hw.kernels.query import DIMS, WORDS, Column, Floats, KernelKind

OTHER_WORD = 0.5
"""Correlation of the errors of two functions, or two directions, at the same sizes."""

_CHUNK = 8192

Point = tuple[float | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """Log of measured over modelled time, by Gaussian-process regression (Rasmussen and Williams, ch. 2).

    The covariance of two kernels falls with their distance d in octaves, each direction in its own length:
    exp(-d). Far from every point only the offset is left.

    Attributes:
        offset: What is left on average; exp of it is the part by which the model is slow or fast everywhere.
        octaves: The length of each feature of `features.feature_names`.
        noise: Variance of a single point over that of the function.
        points: Dims in the order of `DIMS`, then the log ratio less the offset.

    Raises:
        ValueError: A length or the noise is not positive, or the points differ in length.
    """

    offset: float
    octaves: tuple[float, ...]
    noise: float
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if not all(length > 0 for length in (*self.octaves, self.noise)):
            raise ValueError("octaves and noise must be positive")
        if len({len(point) for point in self.points}) > 1:
            raise ValueError("all points must have the same number of entries")

    def at(self, kind: KernelKind, dims: Mapping[str, Column]) -> Floats:
        """Return the log ratio to expect of each kernel."""
        where, labels, weights = _solved(self, kind)
        asked, asked_labels = features(kind, dims) / np.array(self.octaves), words(kind, dims)
        found = np.empty(len(asked))
        for start in range(0, len(asked), _CHUNK):  # so that memory stays bounded
            part = slice(start, start + _CHUNK)
            found[part] = covariance(asked[part], asked_labels[part], where, labels) @ weights
        return found + self.offset

    def within(self, kind: KernelKind, dims: Mapping[str, Column]) -> Column:
        """Return whether each kernel lies among the points: between them in each direction, same word."""
        where, labels, _ = _solved(self, kind)
        asked = features(kind, dims) / np.array(self.octaves)
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
        dim: np.array([point[index] for point in points], dtype=None if dim in WORDS else np.float64)
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
