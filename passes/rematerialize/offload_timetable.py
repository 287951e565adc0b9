"""Offload timetable: times of host copies of activations, overlapped with kernels."""

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
    """The link to the host.

    Attributes:
        copy_us: Time of a one-way copy of a number of bytes.
        ahead: Prefetch distance: start of a fetch before its use, as a multiple of the copy time.
    """

    copy_us: Callable[[int], float]
    ahead: float = 1.0


class Transfer(NamedTuple):
    """An offloaded storage; all times are indices of ops.

    Attributes:
        storage: The storage.
        offload_after: The last op of the forward that uses it; the copy to the host starts after it.
        free_after: The op after which the copy is done and the device's memory is free.
        fetch_before: The op of the backward before which the fetch starts.
        needed_at: The op of the backward that needs it first, itself or for a recomputed op.
    """

    storage: int
    offload_after: int
    free_after: int
    fetch_before: int
    needed_at: int


class PrefetchSchedule:
    """Schedule of copies: to the host as soon as the stream is free, back just in time.

    Args:
        graph: The program.
        recomputed: The recomputed ops before each op of the backward.
        leaves: The last op of the forward that uses each offloaded storage.
        needed: The op of the backward that needs each offloaded storage first, itself or for a recomputed op.
        link: The link to the host.
    """

    def __init__(
        self,
        graph: ActivationGraph,
        recomputed: Mapping[int, Sequence[int]],
        leaves: Mapping[int, int],
        needed: Mapping[int, int],
        link: Link,
    ) -> None:
        costs_us = [
            cost_us + sum(graph.cost_us[each] for each in recomputed.get(index, ()))
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
        """The storages whose fetch would have to start before their offload ends; they should be saved."""
        free_us, found = 0.0, set[int]()
        for storage in self._leaves:
            done_us = self._done_us(storage, free_us)
            if self._gone(done_us) >= self._back(storage):
                found.add(storage)
            else:
                free_us = done_us
        return frozenset(found)

    def transfers(self) -> list[Transfer]:
        """The transfers in the order of their offload."""
        free_us, transfers = 0.0, list[Transfer]()
        for storage, leaves in self._leaves.items():
            free_us = self._done_us(storage, free_us)
            needed = self._needed[storage]
            gone = self._running(max(min(self._gone(free_us), needed - 1), leaves), -1)
            back = self._running(max(self._back(storage), self._graph.first_backward_op, gone + 1), 1)
            transfers.append(Transfer(storage, leaves, gone, back, needed))
        return transfers

    def _done_us(self, storage: int, free_us: float) -> float:
        """End of a storage's offload if the stream is free from `free_us` on."""
        return max(free_us, self._ends_us[self._leaves[storage]]) + self._took_us[storage]

    def _gone(self, done_us: float) -> int:
        """The op by whose end a copy is out."""
        return bisect_left(self._ends_us, done_us)

    def _back(self, storage: int) -> int:
        """The op at whose start a fetch must start."""
        ahead_us = self._back_us[storage] - (self._link.ahead - 1) * self._took_us[storage]
        return min(bisect_right(self._starts_us, ahead_us) - 1, self._needed[storage])

    def _running(self, index: int, step: int) -> int:
        """The next op from an index on that is no drop; drops may be moved."""
        while isinstance(self._graph.ops[index], DropOp):
            index += step
        return index


def by_fetch(transfers: Sequence[Transfer]) -> dict[int, list[Transfer]]:
    """The transfers by the op before which their fetches start, in the order of need."""
    found: dict[int, list[Transfer]] = {}
    for transfer in sorted(transfers, key=lambda transfer: (transfer.needed_at, transfer.storage)):
        found.setdefault(transfer.fetch_before, []).append(transfer)
    return found


def stall_us(
    graph: ActivationGraph, recomputed: Mapping[int, Sequence[int]], transfers: Sequence[Transfer], link: Link
) -> float:
    """Stall time of kernels that wait for copies, in the program and in `transfers`."""
    after: defaultdict[int, list[Transfer]] = defaultdict(list)
    gone: defaultdict[int, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        after[transfer.offload_after].append(transfer)
        gone[transfer.free_after].append(transfer)
    before = by_fetch(transfers)
    streams = CopyTimeline()
    back = set[int]()
    copies: dict[int, int] = {}

    def step(index: int) -> None:
        match op := graph.ops[index]:
            case OffloadOp() | StoreOp():
                value, copy = graph.storage_of[op.value], graph.storage_of[op.copy]
                streams.offload(("copy", copy), link.copy_us(graph.storages[value].bytes))
                copies[value] = copy
            case FetchOp():
                value, copy = graph.storage_of[op.value], graph.storage_of[op.copy]
                streams.fetch(("back", value), ("copy", copy), link.copy_us(graph.storages[value].bytes))
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
        for transfer in before.get(index, ()):
            took_us = link.copy_us(graph.storages[transfer.storage].bytes)
            streams.fetch(("back", transfer.storage), transfer.storage, took_us)
            back.add(transfer.storage)
        for each in recomputed.get(index, ()):
            run(each)
        step(index)
        for transfer in after[index]:
            streams.offload(transfer.storage, link.copy_us(graph.storages[transfer.storage].bytes))
        for transfer in gone[index]:
            streams.wait(transfer.storage)
    return streams.stall_us
