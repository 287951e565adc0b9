"""When activations go to the host and come back, beside the kernels."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from steelyard.compiler.dialects.program import DropOp
from steelyard.passes.activations.graph import ActivationGraph
from steelyard.passes.host_streams import HostStreams


class Link(NamedTuple):
    """The way to the host.

    Attributes:
        copy_us: What a copy of so many bytes takes, one way.
        ahead: How early a copy back starts, as a multiple of what it takes.
    """

    copy_us: Callable[[int], float]
    ahead: float = 1.0


class Move(NamedTuple):
    """A storage that goes and comes back.

    Attributes:
        storage: Which.
        leaves: The last op of the forward that uses it; the copy starts after it.
        gone: The op after which the copy is done and the device's memory free.
        back: The op of the backward before which the copy back starts.
    """

    storage: int
    leaves: int
    gone: int
    back: int


def plan_moves(
    graph: ActivationGraph,
    again: Mapping[int, Sequence[int]],
    leaves: Mapping[int, int],
    needed: Mapping[int, int],
    link: Link,
) -> list[Move]:
    """Each copy out as early as the stream is free, each copy back as late as it is in time.

    Args:
        graph: The program.
        again: The ops that run again before each op of the backward.
        leaves: By storage that moves, the last op of the forward that uses it.
        needed: By storage that moves, the op of the backward that needs it first, or what runs again for it.
        link: The way.
    """
    costs_us = [
        cost_us + sum(graph.cost_us[each] for each in again.get(index, ()))
        for index, cost_us in enumerate(graph.cost_us)
    ]
    ends_us = [*accumulate(costs_us)]
    starts_us = [end_us - cost_us for end_us, cost_us in zip(ends_us, costs_us, strict=True)]
    gone: dict[int, int] = {}
    free_us = 0.0
    for storage in sorted(needed, key=lambda each: (leaves[each], each)):
        free_us = max(free_us, ends_us[leaves[storage]]) + link.copy_us(graph.storages[storage].bytes)
        index = min(bisect_left(ends_us, free_us), needed[storage] - 1)
        gone[storage] = _running(graph, max(index, leaves[storage]))
    moves: list[Move] = []
    begin_us = ends_us[-1]
    for storage in sorted(needed, key=lambda each: (-needed[each], each)):
        took_us = link.copy_us(graph.storages[storage].bytes)
        begin_us = min(begin_us, starts_us[needed[storage]]) - took_us
        ahead_us = begin_us - (link.ahead - 1) * took_us
        earliest = max(graph.turn, gone[storage] + 1)
        index = min(max(bisect_right(starts_us, ahead_us) - 1, earliest), needed[storage])
        back = max(_running(graph, index), earliest)
        moves.append(Move(storage, leaves[storage], gone[storage], min(back, needed[storage])))
    return moves


def waited_us(
    graph: ActivationGraph, again: Mapping[int, Sequence[int]], moves: Sequence[Move], link: Link
) -> float:
    """How long kernels wait for copies."""
    after: defaultdict[int, list[Move]] = defaultdict(list)
    gone: defaultdict[int, list[Move]] = defaultdict(list)
    before: defaultdict[int, list[Move]] = defaultdict(list)
    for move in moves:
        after[move.leaves].append(move)
        gone[move.gone].append(move)
        before[move.back].append(move)
    streams = HostStreams()
    back = set[int]()

    def run(index: int) -> None:
        reads = [("back", read.storage) for read in graph.reads[index] if read.storage in back]
        streams.run(graph.cost_us[index], reads)

    for index in range(len(graph.ops)):
        for move in before[index]:
            took_us = link.copy_us(graph.storages[move.storage].bytes)
            streams.fetch(("back", move.storage), move.storage, took_us)
            back.add(move.storage)
        for each in again.get(index, ()):
            run(each)
        run(index)
        for move in after[index]:
            streams.offload(move.storage, link.copy_us(graph.storages[move.storage].bytes))
        for move in gone[index]:
            streams.wait(move.storage)
    return streams.waited_us


def _running(graph: ActivationGraph, index: int) -> int:
    """The last op up to an index that runs; ends of references may not stay where they are."""
    while index > 0 and isinstance(graph.ops[index], DropOp):
        index -= 1
    return index
