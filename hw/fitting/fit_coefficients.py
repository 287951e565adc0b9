"""Fitting the coefficients of a kernel model to measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_model import Coefficients, KernelModel, Launches
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

NOISE = 0.10
"""Log error of one row that is not held against the coefficients: what tiles and clocks leave open."""

PRIOR = 0.5
"""Log distance from the family's value that a coefficient may have on a device of it; a factor 1.6."""

LARGEST_STEP = 1.5
"""Log distance that none may exceed, so that rows which do not see a coefficient cannot carry it away."""

_STEP = 0.02
"""Log step of the derivatives: past the small stairs that whole tiles put into a time."""

_EVALUATIONS = 25


@dataclass(frozen=True, slots=True)
class Case:
    """Measured kernels of one device, context, kind and type."""

    device: Device
    dtype: DType
    context: ExecutionContext
    dims: Mapping[str, Column]
    measured_s: Floats

    def take(self, rows: Column) -> "Case":
        """Return some of the rows, by position or by mask."""
        dims = {dim: column[rows] for dim, column in self.dims.items()}
        return Case(self.device, self.dtype, self.context, dims, self.measured_s[rows])


def modelled_s(model: KernelModel, case: Case, coefficients: Coefficients) -> Floats:
    """Return what the model says of each kernel, which is never less than its floor."""
    estimate = model.estimate(Launches(case.device, case.dtype, case.context, case.dims, coefficients))
    return np.maximum(estimate.seconds, estimate.floor_s)


def fit_coefficients(model: KernelModel, cases: Sequence[Case], prior: Coefficients) -> dict[str, float]:
    """Return the coefficients that explain the cases best, on top of what is known of the family.

    Least squares of log ratios, with the soft L1 loss against outliers, and a normal prior around the logs
    of the family's values (maximum a posteriori): few rows move them a little, many as far as they want.

    Args:
        model: The model of the kind.
        cases: Measurements, at least one row.
        prior: The family's values, all positive.
    """
    optimize: Any = import_module("scipy.optimize")  # slow to load, and without types
    names = sorted(prior)
    center = np.log([prior[name] for name in names])
    measured = [np.log(case.measured_s) for case in cases]

    def errors(position: Floats) -> Floats:
        values = dict(zip(names, np.exp(position).tolist(), strict=True))
        ratios = [
            log_s - np.log(modelled_s(model, case, values))
            for log_s, case in zip(measured, cases, strict=True)
        ]
        scaled = np.concatenate(ratios) / NOISE
        softened = np.sqrt(2 * (np.sqrt(1 + scaled**2) - 1))
        return np.concatenate([softened, (position - center) / PRIOR])

    found = optimize.least_squares(
        errors,
        center,
        bounds=(center - LARGEST_STEP, center + LARGEST_STEP),
        diff_step=_STEP / np.maximum(np.abs(center), 1.0),  # scipy's step is relative to the position
        max_nfev=_EVALUATIONS,
    )
    return {name: float(f"{value:.5g}") for name, value in zip(names, np.exp(found.x).tolist(), strict=True)}
