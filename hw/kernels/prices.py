"""What the ladder answers: a time, an interval and where they are from, for each of many kernels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.kernels.query import Floats


@dataclass(frozen=True, slots=True)
class Prices:
    """Times of many kernels, a row each.

    Attributes:
        value_s: The time that is expected.
        low_s: The lower end of the 90% interval; at least the physical floor.
        high_s: The upper end.
        limiter: `compute`, `memory`, `launch` or `host`.
        source: The rung of the ladder: `interpolated`, `fitted`, `analytic` or `spec`.
    """

    value_s: Floats
    low_s: Floats
    high_s: Floats
    limiter: NDArray[np.str_]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.value_s)
