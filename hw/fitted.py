"""What was fitted to measurements of one device: coefficients of a kernel model, what is left, how sure."""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.hw.kernels.residual import Residual
from steelyard.hw.kernels.spread import Spread
from steelyard.hw.quantity import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Kernels of one kind, type and context on one device.

    Attributes:
        source: The measurements.
        rows: How many of them.
        mean_error: Mean relative error of the prediction of rows that were left out of the fit.
        mean_error_before: The same of the constants of the device's family.
        coefficients: The constants of the kind's model.
        spread: Measured over predicted time by the coefficients alone.
        residual: What the coefficients leave; None where it follows no pattern.
        residual_spread: Measured over predicted time within the points of the residual.

    Raises:
        ValueError: A coefficient is not positive, or only one of the residual and its spread is given.
    """

    source: Source
    rows: int
    mean_error: float
    mean_error_before: float
    coefficients: Mapping[str, float]
    spread: Spread
    residual: Residual | None = None
    residual_spread: Spread | None = None

    def __post_init__(self) -> None:
        for name, value in self.coefficients.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"the coefficient {name} is {value:g}; all are positive")
        if (self.residual is None) != (self.residual_spread is None):
            raise ValueError("residual and residual_spread come together")
