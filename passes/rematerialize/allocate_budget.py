"""Choice of a remat policy per block by dynamic programming under a memory limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.passes.rematerialize.activation_graph import ActivationGraph
from steelyard.passes.rematerialize.evaluate_plan import PlanEvaluator, RematPolicy

_LEVELS = 128
"""Number of memory limits that are solved for."""

_STATES = 512
"""Resolution of saved bytes in the dynamic program: finer than the limits."""

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class BlockOption:
    """One solution of a block as a policy for the program's storages, with its cost."""

    policy: RematPolicy
    cost_us: float


Options = Sequence[Sequence[BlockOption]]
"""The options of each block, from the fastest to the smallest."""


@dataclass(frozen=True, slots=True)
class _Footprint:
    """Memory of a block: bytes saved, and the peak at its ops less the bytes saved by earlier blocks."""

    saved_bytes: int
    own_bytes: int


def allocate(evaluator: PlanEvaluator, blocks: Sequence[range], options: Options) -> Iterator[RematPolicy]:
    """Policies of least predicted time, for memory limits from the highest to the lowest reachable peak.

    While block b runs, in the forward or the backward, the bytes saved by earlier blocks are live and those
    of later ones are not. So the live bytes at block b are a sum over blocks of a term of each one's option,
    and the limit is one linear constraint per block. The terms are read off evaluated uniform policies, in
    which all blocks have their first option, their second, and so on.
    """
    if not blocks:  # the program begins with its backward
        return
    uniform = [
        _join([each[min(number, len(each) - 1)] for each in options])
        for number in range(max(map(len, options), default=0))
    ]
    yield from uniform
    footprints = _footprints(evaluator, blocks, options, uniform)
    peaks = [
        _peak(footprints, [min(number, len(each) - 1) for each in options]) for number in range(len(uniform))
    ]
    highest, lowest = max(peaks, default=0), max(_floors(footprints), default=0)
    for level in range(_LEVELS):
        limit = highest + (lowest - highest) * level / (_LEVELS - 1)
        if chosen := _allot(footprints, options, limit):
            yield _join([each[number] for each, number in zip(options, chosen, strict=True)])


def _join(chosen: Sequence[BlockOption]) -> RematPolicy:
    return RematPolicy(
        frozenset(k for option in chosen for k in option.policy.saved),
        frozenset(k for option in chosen for k in option.policy.offloaded),
    )


def _footprints(
    evaluator: PlanEvaluator, blocks: Sequence[range], options: Options, uniform: Sequence[RematPolicy]
) -> list[list[_Footprint]]:
    graph = evaluator.graph
    spans = _spans(graph, blocks)
    found: list[list[_Footprint]] = [[] for _ in blocks]
    for number, joined in enumerate(uniform):
        policy = evaluator.complete(joined)
        top = evaluator.evaluate(policy).live_bytes
        before = 0
        for each, block, span, mine in zip(options, blocks, spans, found, strict=True):
            alive = graph.bytes_of(k for k in policy.saved if graph.storages[k].born in block)
            if number < len(each):
                own = max((top[index] for index in (*block, *span)), default=0) - before
                mine.append(_Footprint(alive, own))
            before += alive
    return found


def _spans(graph: ActivationGraph, blocks: Sequence[range]) -> list[list[int]]:
    """For each block, the ops of the backward during which it is the last block still read."""
    block_of = [number for number, block in enumerate(blocks) for _ in block]
    spans: list[list[int]] = [[] for _ in blocks]
    last = 0
    for index in range(len(graph.ops) - 1, graph.first_backward_op - 1, -1):
        read = (graph.storages[each.storage] for each in graph.reads[index])
        born = (storage.born for storage in read if storage.freed_here)
        last = max([last, *(block_of[each] for each in born if 0 <= each < graph.first_backward_op)])
        spans[last].append(index)
    return spans


def _peak(footprints: Sequence[Sequence[_Footprint]], chosen: Sequence[int]) -> int:
    before = peak = 0
    for each, number in zip(footprints, chosen, strict=True):
        peak = max(peak, before + each[number].own_bytes)
        before += each[number].saved_bytes
    return peak


def _floors(footprints: Sequence[Sequence[_Footprint]]) -> Iterator[int]:
    """For each block, a lower bound of the live bytes at it."""
    before = 0
    for each in footprints:
        yield before + min(option.own_bytes for option in each)
        before += min(option.saved_bytes for option in each)


def _allot(
    footprints: Sequence[Sequence[_Footprint]], options: Options, limit_bytes: float
) -> list[int] | None:
    """The option of each block for the least total time, None if the limit is infeasible.

    Dynamic programming block by block: a state is the bytes saved so far, with the least time to reach it.
    """
    saved, cost_us = np.zeros(1), np.zeros(1)
    history: list[Numbers] = []
    for each, sizes in zip(options, footprints, strict=True):
        after = saved[:, None] + np.array([size.saved_bytes for size in sizes])
        fits = saved[:, None] + np.array([size.own_bytes for size in sizes]) <= limit_bytes
        price_us = cost_us[:, None] + np.array([option.cost_us for option in each])
        front = _front(after.ravel(), price_us.ravel(), np.flatnonzero(fits), limit_bytes)
        if not len(front):
            return None
        saved, cost_us = after.ravel()[front], price_us.ravel()[front]
        history.append(front)
    chosen: list[int] = []
    state = len(saved) - 1
    for each, front in zip(reversed(options), reversed(history), strict=True):
        state, number = divmod(int(front[state]), len(each))
        chosen.append(number)
    return chosen[::-1]


def _front(saved: Numbers, cost_us: Numbers, states: Numbers, limit_bytes: float) -> Numbers:
    """The Pareto front of states by saved bytes and time, thinned to the fastest of similar ones if too long.

    In the order of saved bytes, the fastest last.
    """
    order = states[np.lexsort((cost_us[states], saved[states]))]
    least = np.minimum.accumulate(np.concatenate(([np.inf], cost_us[order])))[:-1]
    front = order[cost_us[order] < least]
    if len(front) <= _STATES:
        return front
    bucket = np.floor(saved[front] / limit_bytes * _STATES)
    is_last = np.append(bucket[1:] != bucket[:-1], True)
    is_last[0] = True
    return front[is_last]
