"""The test of whether an executor fuses two ops: together they take less than one after the other.

nn-Meter (Zhang et al., MobiSys 2021, section 4) holds two ops to be fused where
T1 + T2 - T12 > alpha * min(T1, T2), with alpha = 0.5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal, get_args

ALPHA = 0.5
"""The part of the shorter op's time that must be saved: nn-Meter's."""

LEAST_AGREEMENT = 0.8
"""The part of the rounds that must come to the same verdict by themselves, else there is none."""

LEAST_ROUNDS = 3
MOST_ROUNDS = 25

Part = Literal["first", "second", "both"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two ops by name, as in `aten.relu`; the second reads what the first writes."""

    first: str
    second: str


Measure = Callable[[Pair, Part], float]
"""Times a part of a pair once; its seconds, without those of a call that does nothing."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of a pair.

    Attributes:
        pair: The ops.
        times_s: The median seconds of each part over the rounds.
        spreads: The ratio of the quartiles of each.
        agreement: The part of the rounds that come to the verdict of the medians by themselves.
        rounds: How many there were.
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
        """Whether the ops run as one kernel; None where the rounds disagree."""
        return self.saved_share > ALPHA if self.agreement >= LEAST_AGREEMENT else None


def decide_pairs(
    pairs: Sequence[Pair],
    measure: Measure,
    *,
    enough: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Time the parts of pairs in rounds, and say which pairs run as one kernel; in the order given.

    A round goes through all pairs before the next begins: something else that runs for a while on the
    machine then spoils one round of many pairs, not all rounds of one, and the median leaves it out.

    Args:
        pairs: What to test.
        measure: Times them.
        enough: Asked before each round after the first three.
        progress: Told before each round, and at the end.
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
