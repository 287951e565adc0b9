"""Finding steps in how time grows with a size.

Hardware works in vectors, tiles and blocks, so that time over a number of channels is a staircase (Tang et
al., "To bridge neural network design and real-world performance", MLSys'21).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_STEPS = 3
_LEAST_EXPLAINED = 0.5
"""The part of the deviation from a smooth curve that steps must take away, to be steps and not noise."""
_LEAST_DEVIATION = 0.005
"""A mean relative deviation from a smooth curve below this is as good as none."""
_ITERATIONS = 30


@dataclass(frozen=True, slots=True)
class Staircase:
    """The steps of a sweep.

    Attributes:
        width: Sizes between two rises.
        explained: The part of the mean deviation from a smooth curve that steps of this width take away.
        flatness: 1 where a step is level, 0 where time grows inside it as it does on average; above 1 it falls.
        off_multiple_s: Seconds that every size which is no multiple of the width costs on top.
    """

    width: int
    explained: float
    flatness: float
    off_multiple_s: float


@dataclass(frozen=True, slots=True)
class Penalty:
    """What sizes that are no multiple of a width cost.

    Attributes:
        mean: Their time over that of a line between the multiples around them, less 1; the mean.
        worst: The largest of that.
        worst_size: Where that is.
    """

    mean: float
    worst: float
    worst_size: int


def find_staircase(sizes: Sequence[int], times_s: Sequence[float]) -> Staircase | None:
    """Return the steps in measured times, None where a smooth curve does about as well.

    Time is a parabola in the size, plus a sawtooth, `width * ceil(size / width) - size`, plus a constant at
    sizes that are no multiple, with the least absolute relative errors, which outliers hardly move. The width
    is that which explains most: a multiple of the true one misses every other rise, and a divisor of it has
    rises where there are none.

    Args:
        sizes: Ascending, without gaps; no width above a third of their range is looked for.
        times_s: Positive.
    """
    size, time_s = np.array(sizes, dtype=np.float64), np.array(times_s, dtype=np.float64)
    smooth = np.stack([np.ones_like(size), size, size**2], axis=1)
    smooth_error, _ = _fit(smooth, time_s)
    widths = range(2, int((size[-1] - size[0]) // _LEAST_STEPS) + 1)
    fits = {width: _fit(np.hstack([smooth, _steps(size, width)]), time_s) for width in widths}
    if not fits or smooth_error < _LEAST_DEVIATION:
        return None
    width = min(fits, key=lambda each: fits[each][0])
    error, found = fits[width]
    explained = 1 - error / smooth_error
    if explained < _LEAST_EXPLAINED:
        return None
    slope_s = found[1] + found[2] * (size[0] + size[-1])
    return Staircase(
        width=width,
        explained=float(explained),
        flatness=float(found[3] / slope_s) if slope_s > 0 else 0.0,
        off_multiple_s=float(found[4]) if len(found) > 4 else 0.0,
    )


def off_multiple_penalty(sizes: Sequence[int], times_s: Sequence[float], width: int) -> Penalty | None:
    """Return what sizes between multiples of a width cost, None where there is none between two multiples."""
    time_at = dict(zip(sizes, times_s, strict=True))
    penalties: dict[int, float] = {}
    for size, time_s in time_at.items():
        below = size // width * width
        above = below + width
        if size % width and below in time_at and above in time_at:
            line_s = time_at[below] + (time_at[above] - time_at[below]) * (size - below) / width
            penalties[size] = time_s / line_s - 1
    if not penalties:
        return None
    worst_size = max(penalties, key=lambda size: penalties[size])
    return Penalty(float(np.mean(list(penalties.values()))), penalties[worst_size], worst_size)


def _steps(size: Floats, width: int) -> Floats:
    rest = -size % width
    # With two sizes a step, a sawtooth is no other than a constant at every other size.
    return rest[:, None] if width == 2 else np.stack([rest, (rest > 0).astype(np.float64)], axis=1)


def _fit(columns: Floats, time_s: Floats) -> tuple[float, Floats]:
    """Return the mean absolute relative error and the coefficients, by iteratively reweighted least squares."""
    scale = np.abs(columns).max(axis=0)
    relative = columns / np.where(scale > 0, scale, 1.0) / time_s[:, None]
    weight = np.ones_like(time_s)
    found = np.zeros(columns.shape[1])
    for _ in range(_ITERATIONS):
        found = np.linalg.lstsq(relative * weight[:, None], weight, rcond=None)[0]
        residual = np.abs(relative @ found - 1)
        weight = 1 / np.sqrt(np.maximum(residual, 1e-4))
    residual = np.abs(relative @ found - 1)
    return float(residual.mean()), found / np.where(scale > 0, scale, 1.0)
