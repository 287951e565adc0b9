"""The law of a library kernel: an overhead, its arithmetic, its operands brought into form, odd rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from steelyard.hw.quantity import Point
from steelyard.hw.work import KernelWork

Floats = NDArray[np.float64]

KNOTS_BYTES = (2**17, 2**20, 2**23, 2**26)
"""Where the rate of bringing operands into form is fitted: from the caches of a core to outside of all."""
# Where the fit starts, and how far from there it looks: no CPU of this decade is outside.
_OVERHEAD_S, _FLOP_S, _BYTE_S = 5e-6, 5e-12, 5e-11
_RANGE = 500.0
_LINEAR_FROM = 0.2
_SMOOTHNESS = 0.1
"""Weight of the octaves between the rates at neighbouring knots, which decides where no kernel does."""


@dataclass(frozen=True, slots=True)
class Operands:
    """What comes on top of the arithmetic of one group of kernels.

    Attributes:
        overhead_s: Of one call.
        curve: Bytes that a kernel touches, and the bytes per second at which they are brought into form.
    """

    overhead_s: float
    curve: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class CostLaw:
    """Seconds = overhead_s + FLOPs / flops_per_s + bytes / (rate at so many bytes) + awkward bytes / rate.

    Attributes:
        flops_per_s: Of multiply-accumulate chains, which all groups share.
        awkward_bytes_per_s: Of results whose rows lie at a bad distance, which all groups share; None where
            no kernel has one.
        operands: By group.
        error: The mean deviation of the law from what it was fitted to, as a factor less 1.
    """

    flops_per_s: float
    awkward_bytes_per_s: float | None
    operands: dict[str, Operands]
    error: float


def fit_law(groups: Sequence[str], works: Sequence[KernelWork], seconds: Sequence[float]) -> CostLaw:
    """Return the law of kernels of one kind, by least squares of the logarithms of their times.

    A few kernels that take another way (a convolution without an optimized one) count little: the loss is
    linear where it is off by more than a fifth.

    Args:
        groups: Of each kernel: the operation, where overheads and operands differ.
        works: Of each kernel.
        seconds: What each took.
    """
    names = sorted(set(groups))
    width = 1 + len(KNOTS_BYTES)
    # A column of zeros would leave its constant where the fit starts.
    shared = 2 if any(work.awkward_bytes for work in works) else 1
    features = np.zeros((len(works), shared + width * len(names)))
    for row, (group, work) in enumerate(zip(groups, works, strict=True)):
        first = shared + width * names.index(group)
        features[row, :shared] = (work.contraction_flops, work.awkward_bytes)[:shared]
        features[row, first : first + width] = _operand_features(work)
    logs: Floats = np.log(np.asarray(seconds, dtype=np.float64))

    def residuals(logarithms: Floats) -> Floats:
        return np.log(features @ np.exp(logarithms)) - logs

    def regularized(logarithms: Floats) -> Floats:
        steps = np.diff(logarithms[shared:].reshape(len(names), width)[:, 1:], axis=1)
        return np.concatenate([residuals(logarithms), _SMOOTHNESS * steps.ravel()])

    start: Floats = np.log(
        [*[_FLOP_S, _BYTE_S][:shared], *[_OVERHEAD_S, *[_BYTE_S] * len(KNOTS_BYTES)] * len(names)]
    )
    bounds = start - log(_RANGE), start + log(_RANGE)
    found = least_squares(regularized, start, bounds=bounds, loss="soft_l1", f_scale=_LINEAR_FROM)
    s_per_flop, *s_per_awkward_byte = (float(each) for each in np.exp(found.x[:shared]))
    rest = [float(each) for each in np.exp(found.x[shared:])]
    operands: dict[str, Operands] = {}
    for index, name in enumerate(names):
        overhead_s, *s_per_byte = rest[width * index : width * (index + 1)]
        rates = (1 / each for each in s_per_byte)
        operands[name] = Operands(overhead_s, tuple(zip(KNOTS_BYTES, rates, strict=True)))
    error = float(np.exp(np.mean(np.abs(residuals(found.x)))) - 1)
    awkward = 1 / s_per_awkward_byte[0] if s_per_awkward_byte else None
    return CostLaw(1 / s_per_flop, awkward, operands, error)


def _operand_features(work: KernelWork) -> list[float]:
    touched_bytes = work.touched_bytes
    at = np.log(np.array(KNOTS_BYTES, dtype=np.float64))
    shares = (np.interp(log(max(touched_bytes, 1)), at, unit) for unit in np.eye(len(KNOTS_BYTES)))
    return [1.0, *(float(share) * touched_bytes for share in shares)]
