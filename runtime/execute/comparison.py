"""Comparison of a prediction with a measurement."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prediction and its measurement; `ratio` is predicted over measured."""

    predicted: float
    measured: float
    low: float | None = None
    high: float | None = None

    @property
    def ratio(self) -> float:
        """Predicted over measured; 1 is exact."""
        return self.predicted / self.measured if self.measured else float("inf")

    def to_json(self) -> dict[str, Any]:
        """The fields that are known, and the ratio."""
        return {name: value for name, value in asdict(self).items() if value is not None} | {
            "ratio": self.ratio
        }
