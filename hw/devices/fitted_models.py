"""Fitted kernel models of a device: coefficients, residual correction and error band."""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.hw.base.kernel_kinds import CATEGORICAL_DIMS, DIMS, FEATURES, KernelKind
from steelyard.hw.base.kernel_work import DType, ExecutionMode
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand

Point = tuple[float | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """Log of measured over modelled time, by Gaussian-process regression (Rasmussen and Williams, ch. 2).

    The covariance of two kernels falls with their distance d in octaves, each direction in its own length:
    exp(-d). Far from every point only the offset is left.

    Attributes:
        offset: Mean of the log ratio; its exp is the model's overall bias.
        octaves: The length of each feature of `kinds.FEATURES`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Kernels of one kind, type and context on one device.

    Attributes:
        source: The measurements.
        rows: Number of measurements.
        mean_error: Mean relative error of the prediction of rows that were left out of the fit.
        mean_error_before: The same with the constants of the device's architecture.
        coefficients: The constants of the kind's model.
        spread: Measured over predicted time by the coefficients alone.
        residual: Residual correction; None if the residual has no pattern.
        residual_spread: Measured over predicted time within the points of the residual.

    Raises:
        ValueError: A coefficient is not positive, or only one of the residual and its spread is given.
    """

    source: Source
    rows: int
    mean_error: float
    mean_error_before: float
    coefficients: Mapping[str, float]
    spread: ErrorBand
    residual: Residual | None = None
    residual_spread: ErrorBand | None = None

    def __post_init__(self) -> None:
        for name, value in self.coefficients.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"the coefficient {name} is {value:g}; all are positive")
        if (self.residual is None) != (self.residual_spread is None):
            raise ValueError("residual and residual_spread come together")


Fits = Mapping[KernelKind, Mapping[DType, Mapping[ExecutionMode, Fit]]]
"""The fits of a device by kind, type and context."""


def require_fits_of_kinds(fits: Fits) -> None:
    """Raise where the residual of a fit is not over the dims of its kind.

    Raises:
        ValueError: Points or octaves do not match the kind.
    """
    for kind, types in fits.items():
        for dtype, modes in types.items():
            for fit in modes.values():
                if fit.residual:
                    _require_dims(f"{kind} in {dtype}", kind, fit.residual)


def _require_dims(place: str, kind: KernelKind, residual: Residual) -> None:
    if len(residual.octaves) != len(FEATURES[kind]):
        raise ValueError(f"{place}: octaves are for {', '.join(FEATURES[kind])}")
    if not residual.points or not all(_is_of(kind, point) for point in residual.points):
        raise ValueError(f"{place}: a point is {', '.join(DIMS[kind])} and a log ratio")


def _is_of(kind: KernelKind, point: Point) -> bool:
    *dims, value = point
    if len(dims) != len(DIMS[kind]) or isinstance(value, str):
        return False
    return all(_is_entry(dim, entry) for dim, entry in zip(DIMS[kind], dims, strict=True))


def _is_entry(dim: str, entry: float | str) -> bool:
    if dim in CATEGORICAL_DIMS or isinstance(entry, str):
        return dim in CATEGORICAL_DIMS and isinstance(entry, str)
    return entry >= (0 if dim in ("pad", "causal") else 1)
