"""Fitted kernel models of a device: coefficients, residual correction and error band."""

from collections.abc import Mapping
from dataclasses import dataclass

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
        octaves: The length of each feature of the kind.
        noise: Variance of a single point over that of the function.
        points: Dims in the order of the kind, then the log ratio less the offset.

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
