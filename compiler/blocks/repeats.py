"""Search for runs of a repeated pattern in a sequence."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

_PERIODS = 24
"""Number of candidate periods; a model has few kinds of layers."""


class Run(NamedTuple):
    """Items `start` to `end` (exclusive) that repeat with `period`."""

    start: int
    end: int
    period: int

    @property
    def saved(self) -> int:
        """Number of items that copy earlier ones."""
        return self.end - self.start - self.period


def longest_run(tokens: Sequence[Hashable]) -> Run | None:
    """The run with the most copied items, of the shortest period among equals; None without repetition."""
    runs = [run for period in _likely_periods(tokens) for run in _runs(tokens, period)]
    return max(runs, key=lambda run: (run.saved, -run.period), default=None)


def _likely_periods(tokens: Sequence[Hashable]) -> list[int]:
    last: dict[Hashable, int] = {}
    distances: Counter[int] = Counter()
    for index, token in enumerate(tokens):
        if token in last:
            distances[index - last[token]] += 1
        last[token] = index
    return [distance for distance, _ in distances.most_common(_PERIODS)]


def _runs(tokens: Sequence[Hashable], period: int) -> Iterator[Run]:
    start = 0
    for index in range(len(tokens) - period + 1):
        if index < len(tokens) - period and tokens[index] == tokens[index + period]:
            continue
        if index - start >= period:
            yield Run(start, index + period, period)
        start = index + 1
