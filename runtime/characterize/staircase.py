"""Detection of a staircase in time over size.

Hardware works in vectors, tiles and blocks, so time over the number of channels is a staircase (Tang et
al., To bridge neural network design and real-world performance: a behaviour study for neural networks,
MLSys 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from steelyard.hw.kernels.common.kernel_queries import Floats

_LEAST_STEPS, _MOST_STEPS = 3, 64
_LEAST_WIDTH = 3
_LEAST_POINTS = 12
_LEAST_EXPLAINED = 0.5
"""Least part of the deviation from a smooth curve that steps must explain, to count as steps."""
_SMOOTH_ERROR = 0.005
"""A smooth curve with a mean relative error below this counts as exact."""
_LEAST_ERROR = 0.001
"""Floor of the error in the criterion of steps."""
_SMOOTH_DEGREE = 5
"""Degree of the polynomial that represents smooth curves."""
_ITERATIONS = 10
_RIDGE = 1e-13
"""Regularisation of collinear terms."""


@dataclass(frozen=True, slots=True)
class Staircase:
    """The steps of a sweep.

    Attributes:
        width: Sizes between two rises.
        explained: The part of the mean deviation from a smooth curve that steps of this width explain.
        penalty: Mean penalty of sizes that are no multiple of the width: time over the line between the
            neighbouring multiples, less 1.
        worst_penalty: The largest penalty.
        worst_size: The size with the largest penalty.
    """

    width: int
    explained: float
    penalty: float
    worst_penalty: float
    worst_size: int


def find_staircase(sizes: Sequence[int], times_s: Sequence[float]) -> Staircase | None:
    """Return the steps in measured times, None if a smooth curve fits about as well.

    The model of a width is a line in the size, plus a rise of its own after each multiple of the width, plus
    a constant at other sizes, fitted by least absolute relative errors, which are robust to outliers. The
    width with the best Bayesian information criterion for Laplace errors wins, 2 n ln(error) + terms ln(n): a
    divisor of the true width has more terms and fits no better, and a multiple misses rises.

    Args:
        sizes: Ascending; candidate widths are from 3, or a 64th of their range, to a third of it.
        times_s: Positive.
    """
    if len(sizes) < _LEAST_POINTS:
        return None
    size, time_s = np.array(sizes, dtype=np.float64), np.array(times_s, dtype=np.float64)
    smooth = _fit_error((size / size[-1])[:, None] ** np.arange(_SMOOTH_DEGREE + 1), time_s)
    if smooth.error <= _SMOOTH_ERROR:
        return None
    range_ = int(size[-1] - size[0])
    widths = range(max(_LEAST_WIDTH, range_ // _MOST_STEPS), range_ // _LEAST_STEPS + 1)
    fits = {width: _fit_error(_steps(size, width), time_s) for width in widths}
    width = min(fits, key=lambda each: (fits[each].criterion, fits[each].error))
    explained = 1 - fits[width].error / smooth.error
    if fits[width].criterion >= smooth.criterion or explained < _LEAST_EXPLAINED:
        return None
    penalties = _penalties(sizes, times_s, width)
    worst_size = max(penalties, key=lambda size: penalties[size])
    mean = float(np.mean(list(penalties.values())))
    return Staircase(width, float(explained), mean, float(penalties[worst_size]), worst_size)


def _penalties(sizes: Sequence[int], times_s: Sequence[float], width: int) -> dict[int, float]:
    """Return the penalty of each size between two multiples of a width."""
    time_at = dict(zip(sizes, times_s, strict=True))
    penalties: dict[int, float] = {}
    for size, time_s in time_at.items():
        below = size // width * width
        above = below + width
        if size % width and below in time_at and above in time_at:
            line_s = time_at[below] + (time_at[above] - time_at[below]) * (size - below) / width
            penalties[size] = time_s / line_s - 1
    return penalties


def _steps(size: Floats, width: int) -> Floats:
    ends = np.arange(width, size[-1], width)
    line = [np.ones_like(size), size / size[-1], (size % width > 0).astype(np.float64)]
    return np.hstack([np.stack(line, axis=1), (size[:, None] > ends).astype(np.float64)])


@dataclass(frozen=True, slots=True)
class _Fit:
    """A mean absolute relative error, and the information criterion of the fit."""

    error: float
    criterion: float


def _fit_error(columns: Floats, time_s: Floats) -> _Fit:
    """Fit a sum of columns to times by iteratively reweighted least squares."""
    relative = columns / time_s[:, None]
    weight = np.ones_like(time_s)
    residual = weight
    for _ in range(_ITERATIONS):
        weighted = relative * weight[:, None]
        gram = weighted.T @ weighted
        gram += _RIDGE * np.trace(gram) * np.eye(len(gram))
        found = np.linalg.solve(gram, weighted.T @ weight)
        residual = np.abs(relative @ found - 1)
        weight = 1 / np.sqrt(np.maximum(residual, 1e-4))
    error, (rows, terms) = float(residual.mean()), columns.shape
    return _Fit(error, 2 * rows * log(max(error, _LEAST_ERROR)) + terms * log(rows))
