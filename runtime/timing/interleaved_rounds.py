"""Timing of microbenchmarks in interleaved rounds, so that disturbances affect all of them equally."""

# pyright: standard

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from torch import Tensor

from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark
from steelyard.runtime.timing.cpu_contention import OtherLoad
from steelyard.runtime.timing.microbench import write_again
from steelyard.runtime.timing.quiet_samples import quiet_samples

ROUNDS = 30
_LEAST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of one microbenchmark.

    Attributes:
        typical_s: The median over the rounds.
        spread: The ratio of their quartiles.
        low_s: The lowest decile.
        repeated_s: The median of a repeated call on the same operands (warm caches).
    """

    typical_s: float
    spread: float
    low_s: float
    repeated_s: float


def time_in_rounds(
    probes: Sequence[Microbenchmark], tell: Callable[[], None] = lambda: None, budget_s: float = 55.0
) -> list[Timing]:
    """Time every microbenchmark once a round, in a new order each round; disturbed rounds are discarded.

    A call is timed with a warm instruction cache and a cold data cache, except that the producer's output is
    warm: after an equal call on other operands whose result is still held. Then it is timed again on the same
    operands, into the memory of the previous result: fully warm. Results are held to the end of a round, as
    activations are, so that no call gets memory that was just in use.

    Args:
        probes: The microbenchmarks.
        tell: Called before each round.
        budget_s: Time after which no round is begun, after the first five.
    """
    operands = [(probe.operands(), probe.operands()) for probe in probes]
    taken: list[tuple[float | None, list[tuple[float, float]]]] = []
    order = list(range(len(probes)))
    shuffle = Random(0).shuffle
    start_s = perf_counter()
    for number in range(ROUNDS):
        if number >= _LEAST_ROUNDS and perf_counter() > start_s + budget_s:
            break
        tell()
        shuffle(order)
        load = OtherLoad()
        found = {index: _round(probes[index], *operands[index]) for index in order}
        taken.append((load.cpus(), [found[index][1:] for index in range(len(probes))]))
        del found
    rounds = quiet_samples(taken, _LEAST_ROUNDS)
    return [_timing([each[index] for each in rounds]) for index in range(len(probes))]


def time_among_others(
    probe: Microbenchmark, before: tuple[Any, ...], arguments: tuple[Any, ...]
) -> tuple[object, float]:
    """Return the result and the seconds of a call that comes after one on other operands, still held.

    Args:
        probe: What to time.
        before: The operands of the call before.
        arguments: Those of the call.
    """
    held = _timed(probe, before)
    timed = _timed(probe, arguments)
    del held
    return timed


def _round(
    probe: Microbenchmark, before: tuple[Any, ...], arguments: tuple[Any, ...]
) -> tuple[object, float, float]:
    """Return the result, and the seconds of a call whose operands have left the caches, then of the same."""
    result, first_s = time_among_others(probe, before, arguments)
    del result
    result, again_s = _timed(probe, arguments)
    return result, first_s, again_s


def _timed(probe: Microbenchmark, arguments: tuple[Any, ...]) -> tuple[object, float]:
    produced = arguments[probe.produced]
    for tensor in produced if isinstance(produced, list) else [produced]:
        if isinstance(tensor, Tensor):
            write_again(tensor)
    start_s = perf_counter()
    result = probe.op(*arguments, **probe.options)
    return result, perf_counter() - start_s


def _timing(times_s: Sequence[tuple[float, float]]) -> Timing:
    first_s, again_s = zip(*times_s, strict=True)
    low, _, high = quantiles(first_s, n=4, method="inclusive")
    lowest, *_ = quantiles(first_s, n=10, method="inclusive")
    return Timing(median(first_s), high / low, lowest, median(again_s))
