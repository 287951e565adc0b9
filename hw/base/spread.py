"""Error bands: a 90% interval of a prediction, from the errors of similar predictions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A device holds spreads, and is read without numpy where nothing is priced: hence the imports in functions.

COVERAGE = 0.90
_SMALLEST_CLASS = 40
"""Rows that a class of sizes needs, so that its outer twentieths are two rows each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBand:
    """Measured over predicted time: the range of nine kernels in ten, by how long they take.

    Attributes:
        up_to_s: The predicted times that separate the classes, rising; one fewer than there are classes.
        low: The lower end of the ratio in each class.
        high: The upper end in each class.

    Raises:
        ValueError: The lists do not match, or an end is not positive.
    """

    up_to_s: tuple[float, ...] = ()
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.up_to_s) + 1 == len(self.low) == len(self.high):
            raise ValueError("low and high have one entry more than up_to_s")
        if not all(0 < low <= high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("the ends must be positive, and low at most high")

    def interval(self, value_s: "Floats", floor_s: "Floats") -> "tuple[Floats, Floats]":
        """Return both ends of the interval of each prediction, which hold the prediction and the floor."""
        import numpy as np

        size = np.searchsorted(self.up_to_s, value_s)
        low_s = np.minimum(value_s, np.maximum(floor_s, value_s * np.array(self.low)[size]))
        return low_s, np.maximum(value_s, value_s * np.array(self.high)[size])


def conformal_spread(predicted_s: "Floats", measured_s: "Floats", classes: int = 3) -> ErrorBand:
    """Return the spread of predictions that were not fitted to these measurements.

    Split conformal prediction (Lei et al., Distribution-free predictive inference for regression, JASA 2018,
    section 2.2), once for each tail with half of the miss, since errors of time are lopsided.

    Args:
        predicted_s: Predictions, at least one.
        measured_s: What was measured.
        classes: Classes of about as many rows each, where there are enough rows.
    """
    import numpy as np

    classes = max(1, min(classes, len(predicted_s) // _SMALLEST_CLASS))
    edges = np.quantile(predicted_s, np.arange(1, classes) / classes)
    edges = np.unique([float(f"{edge:.3g}") for edge in edges])  # a device file is read by people
    size = np.searchsorted(edges, predicted_s)
    ratio = np.log(measured_s / predicted_s)
    ends = [_ends(ratio[size == each] if (size == each).any() else ratio) for each in range(len(edges) + 1)]
    low, high = (tuple(float(f"{np.exp(end):.4g}") for end in side) for side in zip(*ends, strict=True))
    return ErrorBand(up_to_s=tuple(float(edge) for edge in edges), low=low, high=high)


def _ends(ratio: "Floats") -> tuple[float, float]:
    import numpy as np

    rank = min(1.0, (1 + COVERAGE) / 2 * (len(ratio) + 1) / len(ratio))
    low, high = -np.quantile(-ratio, rank, method="higher"), np.quantile(ratio, rank, method="higher")
    return float(low), float(high)
