"""The test of whether an executor fuses two ops: together they take less than one after the other.

nn-Meter (Zhang et al., MobiSys'21, section 4) holds two ops to be fused where
T1 + T2 - T12 > alpha * min(T1, T2), with alpha = 0.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

ALPHA = 0.5
"""The part of the shorter op's time that must be saved: nn-Meter's."""

AGREEING_ROUNDS = 3
"""As many rounds in a row must come to the same verdict."""
MOST_ROUNDS = 9
_DISTURBED_SHARE = 2.0
"""Fusing saves about the whole of the shorter op at most; more gained or lost, and another process ran."""

Part = Literal["producer", "consumer", "both"]


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two kinds of ops, the second of which reads what the first writes.

    Attributes:
        producer: The kind of the first.
        consumer: The kind of the second.
        readers: 2 where an addition reads the producer's result too, as a residual connection does; it then
            belongs to the consumer in every time.
    """

    producer: str
    consumer: str
    readers: int = 1


@dataclass(frozen=True, slots=True)
class FusionRule:
    """What was found of a pair.

    Attributes:
        pair: The two kinds.
        producer_s: Seconds of the first alone.
        consumer_s: Seconds of the second alone.
        both_s: Seconds of one program with both.
        rounds: How often each was timed; the times are the shortest.
        stable: Whether the last rounds agreed, on times that can be.
    """

    pair: Pair
    producer_s: float
    consumer_s: float
    both_s: float
    rounds: int
    stable: bool

    @property
    def saved_share(self) -> float:
        """The part of the shorter op's time that is saved; above `ALPHA` they are one kernel."""
        saved_s = self.producer_s + self.consumer_s - self.both_s
        return saved_s / min(self.producer_s, self.consumer_s)

    @property
    def fuses(self) -> bool:
        """Whether the executor runs the pair as one kernel; not where that could not be told."""
        return self.stable and self.saved_share > ALPHA


Measure = Callable[[Pair, Part], float]
"""Runs a part of a pair; its seconds, without those of a call that does nothing."""
Progress = Callable[[int, int, str], None]


def detect_fusion(
    pairs: Sequence[Pair], measure: Measure, progress: Progress = lambda done, total, label: None
) -> list[FusionRule]:
    """Test pairs of ops, and those that fuse again with a second reader; sorted by their kinds.

    Args:
        pairs: Pairs with one reader.
        measure: Times them.
        progress: Told before each measurement how many pairs are decided, how many there are, which is next.
    """
    rules = _decide(pairs, measure, progress)
    shared = [Pair(rule.pair.producer, rule.pair.consumer, readers=2) for rule in rules if rule.fuses]
    return sorted(rules + _decide(shared, measure, progress), key=lambda rule: rule.pair)


def _decide(pairs: Sequence[Pair], measure: Measure, progress: Progress) -> list[FusionRule]:
    """Time pairs in rounds until the last rounds of each agree.

    A round goes through all pairs before the next begins, and the shortest times count: something else that
    runs for a while on the machine then spoils one round of many pairs, not all rounds of one.
    """
    trials = [_Trial(pair) for pair in pairs]
    for _ in range(MOST_ROUNDS):
        for trial in [each for each in trials if not each.stable]:
            decided = sum(each.stable for each in trials)
            progress(decided, len(trials), f"{trial.pair.producer} + {trial.pair.consumer}")
            trial.run(measure)
    progress(len(trials), len(trials), "done")
    return [trial.rule() for trial in trials]


class _Trial:
    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._times_s: dict[Part, float] = {}
        self._verdicts: list[bool | None] = []

    @property
    def stable(self) -> bool:
        last = self._verdicts[-AGREEING_ROUNDS:]
        return len(last) == AGREEING_ROUNDS and set(last) in ({True}, {False})

    def run(self, measure: Measure) -> None:
        for part in get_args(Part):
            self._times_s[part] = min(measure(self.pair, part), self._times_s.get(part, inf))
        share = self.rule().saved_share
        self._verdicts.append(share > ALPHA if abs(share) < _DISTURBED_SHARE else None)

    def rule(self) -> FusionRule:
        times_s = (self._times_s[part] for part in get_args(Part))
        return FusionRule(self.pair, *times_s, rounds=len(self._verdicts), stable=self.stable)
