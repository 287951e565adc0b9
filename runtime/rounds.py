"""Timing many probes in rounds, so that each runs among others, and a disturbance hits all of them alike."""

# pyright: standard

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from torch import Tensor

from steelyard.runtime.probe import Probe

ROUNDS = 30
_LEAST_ROUNDS = 5
_CACHED_BYTES = 2**24
"""A result larger than that has left the caches when the next kernel reads it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of one probe: the median over the rounds, its quartiles' ratio, and the lowest decile."""

    typical_s: float
    spread: float
    low_s: float


def time_in_rounds(
    probes: Sequence[Probe], tell: Callable[[], None] = lambda: None, budget_s: float = 45.0
) -> list[Timing]:
    """Time every probe once a round, in another order each round.

    A call is timed after one like it on other operands, whose result is still held: its code is at hand, as
    in a model of many layers, but neither its weights nor the memory of its result are in the caches; what
    the operation before it would have written is.

    Args:
        probes: What to time.
        tell: Called before each round.
        budget_s: When it is spent, no round is begun after the first five.
    """
    operands = [(probe.operands(), probe.operands()) for probe in probes]
    times_s = [list[float]() for _ in probes]
    order = list(range(len(probes)))
    shuffle = Random(0).shuffle
    start_s = perf_counter()
    for number in range(ROUNDS):
        if number >= _LEAST_ROUNDS and perf_counter() > start_s + budget_s:
            break
        tell()
        shuffle(order)
        for index in order:
            held = [_timed(probes[index], arguments) for arguments in operands[index]]
            times_s[index].append(held[-1][1])
            del held
    return [_timing(each) for each in times_s]


def _timed(probe: Probe, arguments: tuple[Any, ...]) -> tuple[object, float]:
    produced = arguments[probe.produced]
    for tensor in produced if isinstance(produced, list) else [produced]:
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.nbytes <= _CACHED_BYTES:
            tensor.mul_(1.0)
    start_s = perf_counter()
    result = probe.op(*arguments, **probe.options)
    return result, perf_counter() - start_s


def _timing(times_s: list[float]) -> Timing:
    low, _, high = quantiles(times_s, n=4, method="inclusive")
    return Timing(median(times_s), high / low, quantiles(times_s, n=10, method="inclusive")[0])
