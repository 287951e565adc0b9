"""What a CPU reaches with a number of threads that it was not measured with, between two that it was.

Threads share what is outside of their cores: n of them together reach the rate

    r(n) = n r(1) / (1 + c (n - 1))

where c is the part of a thread's time in which it needs what only one can have, such as the memory bus: the
contention of Gunther's universal law of scalability (arXiv:0808.1431), without its term of coherency.
1 / r(n) is (1 - c) / (n r(1)), which the threads divide, and c / r(1), which they do not. So are arithmetic
and the contention of memory in the model of Viebke et al. for training on many cores (arXiv:1906.01992).

Two measured numbers of threads give both constants of every rate, so that nothing is assumed: arithmetic in
the cores has a c of about 0, a saturated memory of about 1, and where cores slow their clock when all are
busy, that is in c too.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from steelyard.hw.base.quantity import Point, Quantity, Rate
from steelyard.hw.devices.measured_rates import MeasuredRates


def sustained_between(few: MeasuredRates, many: MeasuredRates, threads: int) -> MeasuredRates:
    """Return what a CPU reaches with a number of threads between two that it was measured with.

    Rates follow the law of contention, overheads are straight between both. What only one of the two knows is
    left out.

    Args:
        few: With fewer threads.
        many: With more threads.
        threads: How many.

    Raises:
        ValueError: `threads` is not between those of both.
    """
    first, last = few.threads or 0, many.threads or 0
    if not 0 < first < threads < last:
        raise ValueError(f"{threads} threads are not between {first} and {last}")
    # 1 / r(n) is straight in 1 / n, and so is known at n from both ends.
    divided = (1 / threads - 1 / last) / (1 / first - 1 / last)
    straight = (last - threads) / (last - first)
    values: dict[str, Any] = {
        each.name: _between(getattr(few, each.name), getattr(many, each.name), divided, straight)
        for each in fields(MeasuredRates)
    }
    values["threads"] = threads
    return MeasuredRates(**values)


def _between(few: object, many: object, divided: float, straight: float) -> Any:
    """Return what is between two values of one field, where the first has one of the two weights."""
    if isinstance(few, Mapping) and isinstance(many, Mapping):
        left, right = cast("Mapping[str, object]", few), cast("Mapping[str, object]", many)
        return {key: _between(left[key], right[key], divided, straight) for key in left if key in right}
    if isinstance(few, Quantity) and isinstance(many, Quantity):
        value = straight * few.value + (1 - straight) * many.value
        return Quantity(value=value, kind="derived", source=many.source, note=many.note)
    if isinstance(few, Rate) and isinstance(many, Rate):
        return _rate_between(few, many, divided)
    return None


def _rate_between(few: Rate, many: Rate, divided: float) -> Rate:
    def at(amount: float) -> float:
        return 1 / (divided / few.at(amount) + (1 - divided) / many.at(amount))

    if few.curve is None and many.curve is None:
        return Rate(value=at(1.0), kind="derived", source=many.source, note=many.note)
    amounts = sorted({amount for rate in (few, many) for amount, _ in rate.curve or ()})
    curve: tuple[Point, ...] = tuple((amount, at(amount)) for amount in amounts)
    return Rate(curve=curve, kind="derived", source=many.source, note=many.note)
