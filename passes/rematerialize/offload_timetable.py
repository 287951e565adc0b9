"""When activations go to the host and come back, beside the kernels."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from steelyard.compiler.dialects.host import FetchOp, OffloadOp, StoreOp
from steelyard.compiler.dialects.program import DropOp
from steelyard.passes.rematerialize.activation_graph import ActivationGraph
from steelyard.passes.timeline.copy_streams import CopyTimeline


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
        needed: The op of the backward that needs it first, or what runs again for it.
    """

    storage: int
    leaves: int
    gone: int
    back: int
    needed: int


class PrefetchSchedule:
    """Each copy out as early as its stream is free, each copy back as late as it is in time.

    Args:
        graph: The program.
        again: The ops that run again before each op of the backward.
        leaves: By storage that moves, the last op of the forward that uses it.
        needed: By storage that moves, the op of the backward that needs it first, or what runs again for it.
        link: The way to the host.
    """

    def __init__(
        self,
        graph: ActivationGraph,
        again: Mapping[int, Sequence[int]],
        leaves: Mapping[int, int],
        needed: Mapping[int, int],
        link: Link,
    ) -> None:
        costs_us = [
            cost_us + sum(graph.cost_us[each] for each in again.get(index, ()))
            for index, cost_us in enumerate(graph.cost_us)
        ]
        self._graph, self._link, self._needed = graph, link, needed
        self._ends_us = [*accumulate(costs_us)]
        self._starts_us = [end_us - cost for end_us, cost in zip(self._ends_us, costs_us, strict=True)]
        self._leaves = {each: leaves[each] for each in sorted(needed, key=lambda each: (leaves[each], each))}
        self._took_us = {each: link.copy_us(graph.storages[each].bytes) for each in needed}
        self._back_us: dict[int, float] = {}
        begin_us = self._ends_us[-1]
        for storage in sorted(needed, key=lambda each: (-needed[each], each)):
            begin_us = min(begin_us, self._starts_us[needed[storage]]) - self._took_us[storage]
            self._back_us[storage] = begin_us

    def late(self) -> frozenset[int]:
        """The storages that would have to start back before they are out; better they stay."""
        free_us, found = 0.0, set[int]()
        for storage in self._leaves:
            done_us = self._done_us(storage, free_us)
            if self._gone(done_us) >= self._back(storage):
                found.add(storage)
            else:
                free_us = done_us
        return frozenset(found)

    def moves(self) -> list[Move]:
        """The places in the program where copies start and end, in the order in which they leave."""
        free_us, moves = 0.0, list[Move]()
        for storage, leaves in self._leaves.items():
            free_us = self._done_us(storage, free_us)
            needed = self._needed[storage]
            gone = self._running(max(min(self._gone(free_us), needed - 1), leaves), -1)
            back = self._running(max(self._back(storage), self._graph.turn, gone + 1), 1)
            moves.append(Move(storage, leaves, gone, back, needed))
        return moves

    def _done_us(self, storage: int, free_us: float) -> float:
        """When a storage is out, if the stream is free from `free_us` on."""
        return max(free_us, self._ends_us[self._leaves[storage]]) + self._took_us[storage]

    def _gone(self, done_us: float) -> int:
        """The op at whose end a copy is out."""
        return bisect_left(self._ends_us, done_us)

    def _back(self, storage: int) -> int:
        """The op at whose start a copy back must start."""
        ahead_us = self._back_us[storage] - (self._link.ahead - 1) * self._took_us[storage]
        return min(bisect_right(self._starts_us, ahead_us) - 1, self._needed[storage])

    def _running(self, index: int, step: int) -> int:
        """The next op from an index on that runs; ends of references may not stay where they are."""
        while isinstance(self._graph.ops[index], DropOp):
            index += step
        return index


def by_return(moves: Sequence[Move]) -> dict[int, list[Move]]:
    """The moves by the op before which their copies back start; the one that is needed first comes first."""
    found: dict[int, list[Move]] = {}
    for move in sorted(moves, key=lambda move: (move.needed, move.storage)):
        found.setdefault(move.back, []).append(move)
    return found


def stall_us(
    graph: ActivationGraph, again: Mapping[int, Sequence[int]], moves: Sequence[Move], link: Link
) -> float:
    """How long kernels wait for copies, those that the program has already and those of `moves`."""
    after: defaultdict[int, list[Move]] = defaultdict(list)
    gone: defaultdict[int, list[Move]] = defaultdict(list)
    for move in moves:
        after[move.leaves].append(move)
        gone[move.gone].append(move)
    before = by_return(moves)
    streams = CopyTimeline()
    back = set[int]()
    copies: dict[int, int] = {}

    def step(index: int) -> None:
        match op := graph.ops[index]:
            case OffloadOp() | StoreOp():
                value, kept = graph.storage_of[op.value], graph.storage_of[op.copy]
                streams.offload(("copy", kept), link.copy_us(graph.storages[value].bytes))
                copies[value] = kept
            case FetchOp():
                value, kept = graph.storage_of[op.value], graph.storage_of[op.copy]
                streams.fetch(("back", value), ("copy", kept), link.copy_us(graph.storages[value].bytes))
                back.add(value)
            case DropOp():
                value = graph.storage_of[op.value]
                streams.wait(("copy", copies[value]) if value in copies else ("back", value))
            case _:
                run(index)

    def run(index: int) -> None:
        reads = [("back", read.storage) for read in graph.reads[index] if read.storage in back]
        streams.run(graph.cost_us[index], reads)

    for index in range(len(graph.ops)):
        for move in before.get(index, ()):
            took_us = link.copy_us(graph.storages[move.storage].bytes)
            streams.fetch(("back", move.storage), move.storage, took_us)
            back.add(move.storage)
        for each in again.get(index, ()):
            run(each)
        step(index)
        for move in after[index]:
            streams.offload(move.storage, link.copy_us(graph.storages[move.storage].bytes))
        for move in gone[index]:
            streams.wait(move.storage)
    return streams.stall_us
