"""Test for fusion of two ops: together they take less time than one after the other.

nn-Meter (Zhang et al., MobiSys 2021, section 4) considers two ops fused if
T1 + T2 - T12 > alpha * min(T1, T2), with alpha = 0.5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal, get_args

from steelyard.hw.base.progress import Progress

ALPHA = 0.5
"""The part of the shorter op's time that must be saved, as in nn-Meter."""

LEAST_AGREEMENT = 0.8
"""The part of the rounds that must agree with the verdict, else there is none."""

LEAST_ROUNDS = 3
MOST_ROUNDS = 25

Part = Literal["first", "second", "both"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two ops by name, as in `aten.relu`; the second reads what the first writes."""

    first: str
    second: str


MeasurePair = Callable[[Pair, Part], float]
"""Times a part of a pair once: seconds, less those of an empty call."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a pair.

    Attributes:
        pair: The ops.
        times_s: The median seconds of each part over the rounds.
        spreads: The ratio of the quartiles of each.
        agreement: The part of the rounds that agree with the verdict of the medians.
        rounds: Number of rounds.
    """

    pair: Pair
    times_s: Mapping[Part, float]
    spreads: Mapping[Part, float]
    agreement: float
    rounds: int

    @property
    def saved_share(self) -> float:
        """The part of the shorter op's time that is saved."""
        return _saved_share(self.times_s)

    @property
    def fused(self) -> bool | None:
        """Whether the ops run as one kernel; None if the rounds disagree."""
        return self.saved_share > ALPHA if self.agreement >= LEAST_AGREEMENT else None


def decide_pairs(
    pairs: Sequence[Pair],
    measure: MeasurePair,
    *,
    enough: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Time pairs in rounds and decide which run as one kernel; in the order given.

    A round covers all pairs before the next begins, so that a disturbance spoils one round of many pairs, not
    all rounds of one pair, and the median discards it.

    Args:
        pairs: The pairs.
        measure: Times a part of a pair.
        enough: Whether to stop; called before each round after the first three.
        progress: Called before each round, and at the end.
    """
    times_s: dict[Pair, list[dict[Part, float]]] = {pair: [] for pair in pairs}
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and enough():
            break
        if progress:
            progress(number, MOST_ROUNDS, "timing pairs")
        for pair, rounds in times_s.items():
            rounds.append({part: measure(pair, part) for part in PARTS})
    if progress:
        progress(MOST_ROUNDS, MOST_ROUNDS, "done")
    return [_verdict(pair, rounds) for pair, rounds in times_s.items()]


def _verdict(pair: Pair, rounds: Sequence[Mapping[Part, float]]) -> Verdict:
    columns: dict[Part, list[float]] = {part: [times[part] for times in rounds] for part in PARTS}
    typical: dict[Part, float] = {part: median(column) for part, column in columns.items()}
    fused = _saved_share(typical) > ALPHA
    return Verdict(
        pair=pair,
        times_s=typical,
        spreads={part: _spread(column) for part, column in columns.items()},
        agreement=sum((_saved_share(times) > ALPHA) == fused for times in rounds) / len(rounds),
        rounds=len(rounds),
    )


def _saved_share(times_s: Mapping[Part, float]) -> float:
    first_s, second_s, both_s = (times_s[part] for part in PARTS)
    return (first_s + second_s - both_s) / min(first_s, second_s)


def _spread(column: Sequence[float]) -> float:
    low, _, high = quantiles(column, n=4, method="inclusive")
    return high / low
