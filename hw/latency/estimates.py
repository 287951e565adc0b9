"""What the ladder answers: a time, an interval and where they are from, for each of many kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import Latency, LatencySource, Limiter
from steelyard.hw.kernels.common.kernel_queries import Floats


@dataclass(frozen=True, slots=True)
class LatencyEstimates:
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

    @property
    def only(self) -> Latency:
        """The first row by itself."""
        value_s, low_s, high_s = (float(each[0]) for each in (self.value_s, self.low_s, self.high_s))
        limiter, source = cast(Limiter, str(self.limiter[0])), cast(LatencySource, str(self.source[0]))
        return Latency(value_s, low_s, high_s, limiter, source)

    @staticmethod
    def joined(parts: "Sequence[LatencyEstimates]", order: NDArray[np.int64]) -> "LatencyEstimates":
        """Return the prices of several parts one after the other, then brought into an order."""
        columns = ([getattr(part, each.name) for part in parts] for each in fields(LatencyEstimates))
        return LatencyEstimates(*(np.concatenate(column)[order] for column in columns))

    def __len__(self) -> int:
        return len(self.value_s)
