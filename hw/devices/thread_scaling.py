"""CPU thread scaling: rates at a thread count between two measured ones.

Threads share what is outside their cores, such as the memory bus. Together n of them reach the rate

    r(n) = n r(1) / (1 + c (n - 1))

where c is the serial fraction of a thread's time: the contention term of Gunther's universal scalability law
(arXiv:0808.1431), without its coherency term. 1 / r(n) is the sum of (1 - c) / (n r(1)), which the threads
divide, and c / r(1), which they do not; Viebke et al. model arithmetic and memory contention of training on
many cores the same way (arXiv:1906.01992).

Two measured thread counts give both constants of every rate. Arithmetic in the cores has c of about 0, a
saturated memory bus about 1; clock reduction when all cores are busy is part of c too.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from steelyard.hw.base.quantity import Point, Quantity, Rate
from steelyard.hw.devices.measured_rates import MeasuredRates


def sustained_between(few: MeasuredRates, many: MeasuredRates, threads: int) -> MeasuredRates:
    """Interpolate a CPU's measured rates to a thread count between two measured ones.

    Rates follow the contention law, overheads are linear in the thread count. A rate that only one of the two
    has is left out.

    Args:
        few: Rates with fewer threads.
        many: Rates with more threads.
        threads: The thread count.

    Raises:
        ValueError: `threads` is not strictly between the two.
    """
    first, last = few.threads or 0, many.threads or 0
    if not 0 < first < threads < last:
        raise ValueError(f"{threads} threads are not between {first} and {last}")
    # 1 / r(n) is linear in 1 / n.
    divided = (1 / threads - 1 / last) / (1 / first - 1 / last)
    straight = (last - threads) / (last - first)
    values: dict[str, Any] = {
        each.name: _between(getattr(few, each.name), getattr(many, each.name), divided, straight)
        for each in fields(MeasuredRates)
    }
    values["threads"] = threads
    return MeasuredRates(**values)


def _between(few: object, many: object, divided: float, straight: float) -> Any:
    """Interpolate between two values of one field; the weights are of the first."""
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
