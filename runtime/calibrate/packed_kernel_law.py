"""The law of a library kernel: an overhead, its arithmetic, operands brought into form, results written."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from steelyard.hw.base.kernel_work import KernelWork
from steelyard.hw.base.quantity import Point

Floats = NDArray[np.float64]

KNOTS_BYTES = (2**17, 2**20, 2**23, 2**26)
"""Where the rate of bringing operands into form is fitted: from the caches of a core to outside of all."""
_LOG_KNOTS = np.log(np.array(KNOTS_BYTES, dtype=np.float64))
# Where the fit starts, and how far from there it looks: no CPU of this decade is outside.
_OVERHEAD_S, _FLOP_S, _BYTE_S = 5e-6, 5e-12, 5e-11
_RANGE = 500.0
_LINEAR_FROM = 0.2
_SMOOTHNESS = 0.1
"""Weight of the octaves between the rates at neighbouring knots, which decides where no kernel does."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Packing and store costs of one group of kernels, besides arithmetic.

    Attributes:
        overhead_s: Of one call.
        result_bytes_per_s: Of what it writes.
        curve: Bytes that a kernel reads, and the bytes per second at which they are brought into form.
    """

    overhead_s: float
    result_bytes_per_s: float
    curve: tuple[Point, ...]

    def seconds(self, work: KernelWork) -> float:
        """Return what comes on top of the arithmetic of a kernel."""
        amounts, rates = np.log(np.array(self.curve)).T
        read_per_s = exp(np.interp(log(max(work.bytes_read, 1)), amounts, rates))
        return self.overhead_s + work.bytes_written / self.result_bytes_per_s + work.bytes_read / read_per_s


@dataclass(frozen=True, slots=True)
class CostLaw:
    """Seconds = overhead + FLOPs, bytes read, bytes written and awkward bytes, each at its rate.

    Reading is not like writing: a linear layer for 128 tokens packs all its weights and writes little; the
    gradient of its weights writes as much, packs little, and takes up to a quarter less.

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
    group = np.array([names.index(name) for name in groups])
    flops, read, written, awkward = np.array(
        [(each.contraction_flops, each.bytes_read, each.bytes_written, each.awkward_bytes) for each in works],
        dtype=np.float64,
    ).T
    # How near each kernel is to each knot.
    near = np.array(
        [np.interp(np.log(np.maximum(read, 1)), _LOG_KNOTS, unit) for unit in np.eye(len(_LOG_KNOTS))]
    )
    logs: Floats = np.log(np.asarray(seconds, dtype=np.float64))
    start: Floats = np.log(
        [_FLOP_S, _BYTE_S, *[_OVERHEAD_S, _BYTE_S, *[_BYTE_S] * len(KNOTS_BYTES)] * len(names)]
    )

    def of_groups(logarithms: Floats) -> Floats:
        return logarithms[2:].reshape(len(names), -1)

    def residuals(logarithms: Floats) -> Floats:
        s_per_flop, s_per_awkward_byte = np.exp(logarithms[:2])
        of_kernels = of_groups(logarithms)[group].T
        overhead_s, s_per_written = np.exp(of_kernels[:2])
        s_per_read = np.exp((near * of_kernels[2:]).sum(axis=0))
        predicted_s = overhead_s + flops * s_per_flop + read * s_per_read + written * s_per_written
        return np.log(predicted_s + awkward * s_per_awkward_byte) - logs

    def regularized(logarithms: Floats) -> Floats:
        steps = np.diff(of_groups(logarithms)[:, 2:], axis=1)
        return np.concatenate([residuals(logarithms), _SMOOTHNESS * steps.ravel()])

    bounds = start - log(_RANGE), start + log(_RANGE)
    found: Floats = least_squares(regularized, start, bounds=bounds, loss="soft_l1", f_scale=_LINEAR_FROM).x
    flops_per_s, awkward_bytes_per_s = (float(each) for each in np.exp(-found[:2]))
    operands: dict[str, Operands] = {}
    for name, logarithms in zip(names, of_groups(found), strict=True):
        written_per_s, *read_per_s = (float(each) for each in np.exp(-logarithms[1:]))
        curve = tuple(zip(KNOTS_BYTES, read_per_s, strict=True))
        operands[name] = Operands(float(np.exp(logarithms[0])), written_per_s, curve)
    error = float(np.exp(np.mean(np.abs(residuals(found)))) - 1)
    return CostLaw(flops_per_s, awkward_bytes_per_s if awkward.any() else None, operands, error)
