"""Timing of ops in interleaved rounds, so that disturbances affect all of them equally."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles
from time import perf_counter

from steelyard.runtime.timing.microbench import write_again
from steelyard.runtime.timing.quiet_samples import OtherLoad, quiet_samples
from steelyard.runtime.timing.random_operands import Runnable

ROUNDS = 30
_LEAST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of one op.

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
    ops: Sequence[tuple[Runnable, Runnable]],
    tell: Callable[[], None] = lambda: None,
    budget_s: float = 55.0,
    rounds: int = ROUNDS,
) -> list[Timing]:
    """Time every op once a round, in a new order each round; disturbed rounds are discarded.

    A call is timed with a warm instruction cache and a cold data cache, except that the producer's output is
    warm: after an equal call on other operands whose result is still held. Then it is timed again on the same
    operands, into the memory of the previous result: fully warm. Results are held to the end of a round, as
    activations are, so that no call gets memory that was just in use.

    Args:
        ops: What to time, each twice with operands of its own.
        tell: Called before each round.
        budget_s: Time after which no round is begun, after the first five.
        rounds: How many at most.
    """
    taken: list[tuple[float | None, list[tuple[float, float]]]] = []
    order = list(range(len(ops)))
    shuffle = Random(0).shuffle
    start_s = perf_counter()
    for number in range(rounds):
        if number >= _LEAST_ROUNDS and perf_counter() > start_s + budget_s:
            break
        tell()
        shuffle(order)
        load = OtherLoad()
        found = {index: _cold_and_warm(*ops[index]) for index in order}
        taken.append((load.cpus(), [found[index][1:] for index in range(len(ops))]))
        del found
    quiet = quiet_samples(taken, _LEAST_ROUNDS)
    return [_timing([each[index] for each in quiet]) for index in range(len(ops))]


def _cold_and_warm(before: Runnable, op: Runnable) -> tuple[object, float, float]:
    """Return the result, and the seconds of a call with cold operands, then with warm ones."""
    held = _timed(before)
    result, cold_s = _timed(op)
    del held, result
    result, warm_s = _timed(op)
    return result, cold_s, warm_s


def _timed(op: Runnable) -> tuple[object, float]:
    for tensor in op.produced:
        write_again(tensor)
    start_s = perf_counter()
    result = op.run()
    return result, perf_counter() - start_s


def _timing(times_s: Sequence[tuple[float, float]]) -> Timing:
    cold_s, warm_s = zip(*times_s, strict=True)
    low, _, high = quantiles(cold_s, n=4, method="inclusive")
    lowest, *_ = quantiles(cold_s, n=10, method="inclusive")
    return Timing(median(cold_s), high / low, lowest, median(warm_s))
