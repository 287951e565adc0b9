"""Latency estimate: a time with its interval, limiter and provenance, of one kernel or of many as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, cast

if TYPE_CHECKING:  # devices are read without numpy
    import numpy as np
    from numpy.typing import NDArray

Limiter = Literal["compute", "memory", "link", "launch", "host", "none"]
LatencySource = Literal["measured", "interpolated", "fitted", "analytic", "spec"]

Time = TypeVar("Time")
Limits = TypeVar("Limits")
Origin = TypeVar("Origin")


@dataclass(frozen=True, slots=True)
class LatencyEstimate(Generic[Time, Limits, Origin]):
    """Times in seconds: a float and two words for one kernel (`Latency`), else columns (`Latencies`).

    Attributes:
        value_s: The time that is expected.
        low_s: The lower end of the 90% interval; at least the physical floor.
        high_s: The upper end.
        limiter: The resource that limits it.
        source: The rung of the ladder that the time is from.
    """

    value_s: Time
    low_s: Time
    high_s: Time
    limiter: Limits
    source: Origin

    def __add__(self: "Latency", other: "Latency") -> "Latency":
        """Return the latency of two kernels in sequence; the longer one says what limits both."""
        longer = self if self.value_s >= other.value_s else other
        return LatencyEstimate(
            self.value_s + other.value_s,
            self.low_s + other.low_s,
            self.high_s + other.high_s,
            longer.limiter,
            longer.source,
        )

    @property
    def only(self: "Latencies") -> "Latency":
        """The first row by itself."""
        value_s, low_s, high_s = (float(each[0]) for each in (self.value_s, self.low_s, self.high_s))
        limiter, source = cast(Limiter, str(self.limiter[0])), cast(LatencySource, str(self.source[0]))
        return LatencyEstimate(value_s, low_s, high_s, limiter, source)

    @staticmethod
    def joined(parts: "Sequence[Latencies]", order: "NDArray[np.int64]") -> "Latencies":
        """Return the rows of several parts one after the other, then brought into an order."""
        import numpy as np

        columns = ([getattr(part, each.name) for part in parts] for each in fields(LatencyEstimate))
        return LatencyEstimate(*(np.concatenate(column)[order] for column in columns))


Latency: TypeAlias = LatencyEstimate[float, Limiter, LatencySource]
Latencies: TypeAlias = LatencyEstimate["NDArray[np.float64]", "NDArray[np.str_]", "NDArray[np.str_]"]
