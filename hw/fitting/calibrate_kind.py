"""Calibrating a device from measured kernels: each kind, type and context by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import conformal_spread
from steelyard.hw.devices.fitted_models import Fit, Residual
from steelyard.hw.fitting.fit_coefficients import Case, fit_coefficients, modelled_s
from steelyard.hw.fitting.fit_residual import FOLDS, MOST_POINTS, fit_residual
from steelyard.hw.kernels.common.kernel_model import Coefficients, KernelModel
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.latency.residual import residual_at, within_points

FEWEST_ROWS = 8
"""Rows that a fit needs; with fewer, the family's constants are the better guess."""

COEFFICIENT_ROWS = 2000
"""Rows beyond which coefficients no longer change."""

RESIDUAL_ROWS = 8000
"""Rows beyond which the smooth part of the residual no longer changes."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    coefficients: Coefficients
    residual: Residual | None


@dataclass(frozen=True, slots=True)
class _Held:
    """Rows that were left out of a fit, with what it says of them."""

    measured_s: Floats
    family_s: Floats
    modelled_s: Floats
    corrected_s: Floats
    within: Column

    @property
    def error(self) -> float:
        return _mean_error(self.corrected_s, self.measured_s)


def calibrate_case(
    model: KernelModel, case: Case, source: Source, most_points: int = MOST_POINTS, worth: float = 1.0
) -> Fit:
    """Return what the measurements say of a model on their device.

    How sure it is comes from five folds: everything is fitted again without each fifth of the rows. Where on
    rows left out fitted coefficients are not better by `worth` than the family's, these stay.

    Args:
        model: The model of the kind.
        case: At least `FEWEST_ROWS` rows.
        source: Where they are from.
        most_points: How many points of the residual to keep; 0 for coefficients alone.
        worth: The part of the family's error that fitted coefficients may leave.
    """
    rows = np.random.default_rng(0).permutation(_size(case))  # tables come sorted
    case = case.take(rows)
    held, kept = (_held_out(model, case, most_points, refit) for refit in (True, False))
    refit = held.error <= worth * kept.error
    held = held if refit else kept
    fitted = _fit(model, case, most_points, refit)
    within = held.within if held.within.any() else np.ones_like(held.within)
    near = conformal_spread(held.corrected_s[within], held.measured_s[within])
    return Fit(
        source=source,
        rows=_size(case),
        mean_error=held.error,
        mean_error_before=_mean_error(held.family_s, held.measured_s),
        coefficients=fitted.coefficients,
        spread=conformal_spread(held.modelled_s, held.measured_s),
        residual=fitted.residual,
        residual_spread=near if fitted.residual else None,
    )


def _held_out(model: KernelModel, case: Case, most_points: int, refit: bool) -> _Held:
    folds = list(_folds(model, case, most_points, refit))
    columns = {name: np.concatenate([getattr(fold, name) for fold in folds]) for name in _Held.__slots__}
    return _Held(**columns)


def _folds(model: KernelModel, case: Case, most_points: int, refit: bool) -> Iterator[_Held]:
    fold = np.arange(_size(case)) % FOLDS
    for each in range(FOLDS):
        fitted, held = _fit(model, case.take(fold != each), most_points, refit), case.take(fold == each)
        family = modelled_s(model, held, model.coefficients(held.device, held.dtype))
        plain, residual = modelled_s(model, held, fitted.coefficients), fitted.residual
        ratios = residual_at(residual, model.kind, held.dims) if residual else np.zeros_like(plain)
        within = (
            within_points(residual, model.kind, held.dims) if residual else np.ones(len(plain), dtype=bool)
        )
        yield _Held(held.measured_s, family, plain, plain * np.exp(ratios), within)


def _fit(model: KernelModel, case: Case, most_points: int, refit: bool) -> _Fitted:
    coefficients = dict(model.coefficients(case.device, case.dtype))
    if refit:
        part = case.take(np.arange(min(COEFFICIENT_ROWS, _size(case))))
        coefficients = fit_coefficients(model, [part], coefficients)
    part = case.take(np.arange(min(RESIDUAL_ROWS, _size(case))))
    ratios = np.log(part.measured_s / modelled_s(model, part, coefficients))
    residual = fit_residual(model.kind, part.dims, ratios, most_points) if most_points else None
    return _Fitted(coefficients, residual)


def _size(case: Case) -> int:
    return len(case.measured_s)


def _mean_error(predicted_s: Floats, measured_s: Floats) -> float:
    return float(f"{np.abs(predicted_s / measured_s - 1).mean():.4g}")
