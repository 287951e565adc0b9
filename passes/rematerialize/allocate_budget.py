"""Which block gets which mode: memory over the backward is the constraint, time is the price."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.passes.rematerialize.activation_graph import ActivationGraph
from steelyard.passes.rematerialize.evaluate_plan import Choice, Player

_LEVELS = 128
"""Amounts of memory for which modes are allocated."""

_STATES = 512
"""Amounts of kept bytes that are told apart: finer than the levels."""

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Option:
    """What one mode means for one block of the program: the choice for its storages, and what that takes."""

    choice: Choice
    cost_us: float


Options = Sequence[Sequence[Option]]
"""The options of each block, from the fastest to the leanest."""


@dataclass(frozen=True, slots=True)
class _Footprint:
    """What a block takes: bytes kept, and the most alive at its ops less what earlier blocks keep."""

    kept_bytes: int
    own_bytes: int


def allocate(player: Player, blocks: Sequence[range], options: Options) -> Iterator[Choice]:
    """Choices of least predicted time, for memory limits from the most to the least that options can reach.

    While block b is at work in the forward or the backward, what earlier blocks keep is alive and nothing of
    later ones is. So the bytes at block b are a sum over blocks, each by its own option, and the limit is one
    linear constraint for each block. What a block takes itself is read off choices played through in which
    all blocks have their first option, their second, and so on.
    """
    uniform = [
        _join([each[min(number, len(each) - 1)] for each in options])
        for number in range(max(map(len, options), default=0))
    ]
    yield from uniform
    footprints = _footprints(player, blocks, options, uniform)
    peaks = [
        _peak(footprints, [min(number, len(each) - 1) for each in options]) for number in range(len(uniform))
    ]
    highest, lowest = max(peaks, default=0), max(_floors(footprints), default=0)
    for level in range(_LEVELS):
        limit = highest + (lowest - highest) * level / (_LEVELS - 1)
        if chosen := _allot(footprints, options, limit):
            yield _join([each[number] for each, number in zip(options, chosen, strict=True)])


def _join(chosen: Sequence[Option]) -> Choice:
    return Choice(
        frozenset(k for option in chosen for k in option.choice.kept),
        frozenset(k for option in chosen for k in option.choice.moved),
    )


def _footprints(
    player: Player, blocks: Sequence[range], options: Options, uniform: Sequence[Choice]
) -> list[list[_Footprint]]:
    graph = player.graph
    spans = _spans(graph, blocks)
    found: list[list[_Footprint]] = [[] for _ in blocks]
    for number, joined in enumerate(uniform):
        choice = player.complete(joined)
        top = player.play(choice).top_bytes
        before = 0
        for each, block, span, mine in zip(options, blocks, spans, found, strict=True):
            alive = graph.bytes_of(k for k in choice.kept if graph.storages[k].born in block)
            if number < len(each):
                own = max((top[index] for index in (*block, *span)), default=0) - before
                mine.append(_Footprint(alive, own))
            before += alive
    return found


def _spans(graph: ActivationGraph, blocks: Sequence[range]) -> list[list[int]]:
    """By block, the ops of the backward during which it is the last that is still read."""
    block_of = [number for number, block in enumerate(blocks) for _ in block]
    spans: list[list[int]] = [[] for _ in blocks]
    last = 0
    for index in range(len(graph.ops) - 1, graph.turn - 1, -1):
        read = (graph.storages[each.storage] for each in graph.reads[index])
        born = (storage.born for storage in read if storage.freed_here)
        last = max([last, *(block_of[each] for each in born if 0 <= each < graph.turn)])
        spans[last].append(index)
    return spans


def _peak(footprints: Sequence[Sequence[_Footprint]], chosen: Sequence[int]) -> int:
    before = peak = 0
    for each, number in zip(footprints, chosen, strict=True):
        peak = max(peak, before + each[number].own_bytes)
        before += each[number].kept_bytes
    return peak


def _floors(footprints: Sequence[Sequence[_Footprint]]) -> Iterator[int]:
    """By block, the least that can be alive at it."""
    before = 0
    for each in footprints:
        yield before + min(option.own_bytes for option in each)
        before += min(option.kept_bytes for option in each)


def _allot(
    footprints: Sequence[Sequence[_Footprint]], options: Options, limit_bytes: float
) -> list[int] | None:
    """The option of each block for the least time, None where no choice fits.

    Block by block, the states are what has been kept so far and the least time for that.
    """
    kept, cost_us = np.zeros(1), np.zeros(1)
    history: list[Numbers] = []
    for each, sizes in zip(options, footprints, strict=True):
        after = kept[:, None] + np.array([size.kept_bytes for size in sizes])
        fits = kept[:, None] + np.array([size.own_bytes for size in sizes]) <= limit_bytes
        price_us = cost_us[:, None] + np.array([option.cost_us for option in each])
        front = _front(after.ravel(), price_us.ravel(), np.flatnonzero(fits), limit_bytes)
        if not len(front):
            return None
        kept, cost_us = after.ravel()[front], price_us.ravel()[front]
        history.append(front)
    chosen: list[int] = []
    state = len(kept) - 1
    for each, front in zip(reversed(options), reversed(history), strict=True):
        state, number = divmod(int(front[state]), len(each))
        chosen.append(number)
    return chosen[::-1]


def _front(kept: Numbers, cost_us: Numbers, states: Numbers, limit_bytes: float) -> Numbers:
    """Of states those of which no other keeps less and takes less; of very many, the fastest of similar ones.

    They are in the order of what they keep, the fastest last.
    """
    order = states[np.lexsort((cost_us[states], kept[states]))]
    least = np.minimum.accumulate(np.concatenate(([np.inf], cost_us[order])))[:-1]
    front = order[cost_us[order] < least]
    if len(front) <= _STATES:
        return front
    bucket = np.floor(kept[front] / limit_bytes * _STATES)
    is_last = np.append(bucket[1:] != bucket[:-1], True)
    is_last[0] = True
    return front[is_last]
