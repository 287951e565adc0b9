"""Numbers that know where they come from: a value or a curve, its kind, its source and the date."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import exp, log
from typing import Literal

QuantityKind = Literal["spec", "derived", "measured", "assumed"]
"""`spec`: printed by the vendor. `derived`: arithmetic on such. `measured`: seen on a device.
`assumed`: recalled or guessed, and to be replaced."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Source of numbers: title, optional address, and the date of reading or measurement."""

    title: str
    date: date
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One number of a device; its unit is the suffix of the field that holds it.

    Raises:
        ValueError: The number is not positive (what is unknown is left out, never 0).
    """

    value: float
    kind: QuantityKind
    source: Source
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.value < float("inf"):
            raise ValueError(f"{self.value:g} is not a positive number; leave out what is unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate that is reached in practice: one number, or a curve over the amount of work of one kernel.

    The amount has the unit that the rate is per second of: a `flops_per_s` curve runs over FLOPs, a
    `bytes_per_s` curve over bytes. Between its points a curve is straight in log-log space; outside of them
    it holds its end values.

    Raises:
        ValueError: There is not exactly one of `value` and `curve`, a number is not positive, or the
            amounts do not rise.
    """

    kind: QuantityKind
    source: Source
    value: float | None = None
    curve: tuple[Point, ...] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.curve is None):
            raise ValueError("give exactly one of value and curve")
        points = self._points()
        if not points or not all(0 < number < float("inf") for point in points for number in point):
            raise ValueError("every number must be positive; leave out what is unknown")
        if any(left[0] >= right[0] for left, right in pairwise(points)):
            raise ValueError("the amounts of a curve must rise")

    def at(self, amount: float) -> float:
        """Return the rate for a kernel with this amount of work."""
        return self.evaluator()(amount)

    def evaluator(self) -> Callable[[float], float]:
        """Return `at` with its logarithms taken beforehand, for many calls."""
        points = self._points()
        if len(points) == 1:
            only = points[0][1]
            return lambda _: only
        amounts = [amount for amount, _ in points]
        logs = [(log(amount), log(rate)) for amount, rate in points]

        def interpolate(amount: float) -> float:
            right = bisect_right(amounts, amount)
            if right == 0 or right == len(points):
                return points[min(right, len(points) - 1)][1]
            (x0, y0), (x1, y1) = logs[right - 1], logs[right]
            return exp(y0 + (y1 - y0) * (log(amount) - x0) / (x1 - x0))

        return interpolate

    def _points(self) -> tuple[Point, ...]:
        return self.curve if self.curve is not None else ((1.0, self.value or 0.0),)
