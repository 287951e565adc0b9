"""A choice played through: which ops run again, where, which copies come and go, and what is then alive."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.compiler.dialects.host import FetchOp, OffloadOp, StoreOp
from steelyard.passes.rematerialize.activation_graph import ActivationGraph, Read
from steelyard.passes.rematerialize.offload_timetable import Link, Move, PrefetchSchedule, stall_us

Again = dict[int, list[int]]
"""By op of the backward, the ops that run again right before it, in order."""


class Choice(NamedTuple):
    """What becomes of the storages that the forward leaves to the backward.

    Attributes:
        kept: Those that stay.
        moved: Those that go to the host and come back; all others are made again.
    """

    kept: frozenset[int]
    moved: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A choice played through.

    Attributes:
        again: The ops that run again.
        moves: The storages that go to the host and come back.
        cost_us: What the ops take that run again, and how long kernels wait for copies.
        top_bytes: Live bytes while each op of the program runs, at the most over it and what runs before it.
    """

    again: Again
    moves: Sequence[Move]
    cost_us: float
    top_bytes: list[int]

    @property
    def peak_bytes(self) -> int:
        """The most that is alive at once."""
        return max(self.top_bytes, default=0)


class Player:
    """Plays choices through on one program; what all share is read off it once.

    Each op runs again at most once, right before the first op of the backward that needs it. What stays is
    freed where the program frees it, or after the last op run again that reads it; what goes, after its last
    use in the forward or once its copy is on the host; what is made again or comes back, after its last use
    in the backward.

    Args:
        graph: The program.
        link: The way to the host; without it nothing moves.
        before_us: What the step takes that prices are compared with; that of this program where not given.
    """

    def __init__(
        self, graph: ActivationGraph, link: Link | None = None, before_us: float | None = None
    ) -> None:
        self.graph = graph
        self.link = link
        self._copies = any(isinstance(op, OffloadOp | FetchOp | StoreOp) for op in graph.ops)
        self.step_us = sum(graph.cost_us) + self._waited_us({}, ())
        self._more_us = sum(graph.cost_us) - (self.step_us if before_us is None else before_us)
        self._sizes = [storage.bytes for storage in graph.storages]
        self._resident = sum(storage.bytes for storage in graph.storages if storage.born < 0)
        self._activations = frozenset(graph.activations)
        self._early, self._late = _last_reads(graph)
        self._born = np.zeros(len(graph.ops), np.int64)
        self._freed = np.zeros(len(graph.ops), np.int64)
        self._workspace = np.array(graph.workspace_bytes, np.int64)
        for storage in graph.storages:
            if storage.born >= 0:
                self._born[storage.born] += storage.bytes
            if storage.freed_here:
                self._freed[storage.last_use] += storage.bytes

    def floor_bytes(self) -> int:
        """The peak if activations took nothing: no choice peaks below it."""
        change = self._born - self._freed
        for index in self._activations:
            storage = self.graph.storages[index]
            change[storage.born] -= storage.bytes
            change[storage.last_use] += storage.bytes
        born = self._born.copy()
        for index in self._activations:
            born[self.graph.storages[index].born] -= self._sizes[index]
        start = self._resident + np.cumsum(change) - change
        return int(max(start + born + self._workspace, default=0))

    def complete(self, choice: Choice) -> Choice:
        """A choice with all that cannot be made again: results of random ops, what is changed in place.

        Where an op cannot run again, what it made stays; where one can, its operands are looked at in turn.
        What nothing would read after it came back does not move, nor what is needed before it is out.
        """
        found = self._answer(choice)
        while self.link and found.moved:
            again, needed = self._reruns(found)
            late = PrefetchSchedule(self.graph, again, self._early, needed, self.link).late()
            if not late:
                break
            found = self._answer(Choice(found.kept | late, found.moved - late))
        return found

    def play(self, choice: Choice) -> Schedule:
        """Run a choice on paper, which is complete."""
        graph = self.graph
        again, needed = self._reruns(choice)
        again_us = sum(graph.cost_us[index] for ops in again.values() for index in ops)
        moves: Sequence[Move] = ()
        if self.link and needed:
            moves = PrefetchSchedule(graph, again, self._early, needed, self.link).moves()
        cost_us = self._more_us + again_us + self._waited_us(again, moves)
        return Schedule(again, moves, cost_us, self._top_bytes(choice, again, moves))

    def _waited_us(self, again: Again, moves: Sequence[Move]) -> float:
        if self.link is None or not (moves or self._copies):
            return 0.0
        return stall_us(self.graph, again, moves, self.link)

    def _answer(self, choice: Choice) -> Choice:
        """The choice with which every read of the backward finds its value."""
        graph = self.graph
        kept = set(choice.kept)
        moved = (choice.moved & self._activations) - graph.pinned - choice.kept
        needed = [False] * graph.turn
        returns = set[int]()

        def ask(read: Read) -> None:
            if self._is_there(read, kept):
                return
            if self._comes_back(read, moved):
                returns.add(read.storage)
            elif read.storage in graph.pinned or not graph.repeatable[read.maker]:
                kept.add(read.storage)
            else:
                needed[read.maker] = True

        for _, read in graph.backward_reads:
            ask(read)
        for index in range(graph.turn - 1, -1, -1):
            if needed[index]:
                for read in graph.reads[index]:
                    ask(read)
        return Choice(frozenset(kept), frozenset(returns - kept))

    def _is_there(self, read: Read, kept: frozenset[int] | set[int]) -> bool:
        """Whether the backward finds a value of the forward as it was."""
        return read.maker < 0 or read.storage in kept or not self.graph.may_go(read.storage)

    def _comes_back(self, read: Read, moved: frozenset[int]) -> bool:
        """Whether a value is what comes back: the one with which its storage was made, no view of it."""
        return read.storage in moved and read.maker == self.graph.storages[read.storage].born

    def _reruns(self, choice: Choice) -> tuple[Again, dict[int, int]]:
        """What runs again where; and where what moves is needed first."""
        graph, done = self.graph, set[int]()
        again: Again = {}
        needed: dict[int, int] = {}
        for index, read in graph.backward_reads:
            missing, pending = set[int](), [read]
            while pending:
                each = pending.pop()
                if each.maker in done or each.maker in missing or self._is_there(each, choice.kept):
                    continue
                if self._comes_back(each, choice.moved):
                    needed.setdefault(each.storage, index)
                    continue
                missing.add(each.maker)
                pending += graph.reads[each.maker]
            if missing:
                done |= missing
                again[index] = sorted({*again.get(index, ()), *missing})
        return again, needed

    def _top_bytes(self, choice: Choice, again: Again, moves: Sequence[Move]) -> list[int]:
        """The most that is alive at each op of the program and those that run again before it."""
        sizes, freed = self._sizes, self._freed.copy()
        for storage in self._activations - choice.kept:
            freed[self.graph.storages[storage].last_use] -= sizes[storage]
            freed[self._early[storage]] += sizes[storage]
        for move in moves:
            freed[move.leaves] -= sizes[move.storage]
            freed[move.gone] += sizes[move.storage]
        between: dict[tuple[int, int], int] = defaultdict(int)
        for (storage, is_copy), place in self._last_uses(choice, again, moves).items():
            end = self._program_end(storage, is_copy, choice)
            if end < place[0]:
                between[place] += sizes[storage]
            if is_copy and end >= place[0]:
                freed[end] += sizes[storage]
            elif not is_copy and end < place[0]:
                freed[end] -= sizes[storage]
        return self._sum_up(freed, between, again, moves)

    def _last_uses(
        self, choice: Choice, again: Again, moves: Sequence[Move]
    ) -> dict[tuple[int, bool], tuple[int, int]]:
        """By storage, the one made first and its copy apart, the last op run again that uses it.

        For a copy that came back and that none of these uses, the place where it came.
        """
        graph, last = self.graph, dict[tuple[int, bool], tuple[int, int]]()
        for move in moves:
            last[move.storage, True] = move.back, -1
        for at, ops in again.items():
            for place, index in enumerate(ops):
                for read in graph.reads[index]:
                    last[read.storage, self._is_gone(read.storage, choice)] = at, place
                for storage in graph.born[index]:
                    last[storage, True] = at, place
        return last

    def _is_gone(self, storage: int, choice: Choice) -> bool:
        return self.graph.may_go(storage) and storage not in choice.kept

    def _program_end(self, storage: int, is_copy: bool, choice: Choice) -> int:
        """The last op of the program itself that holds a storage; -1 where none does."""
        if is_copy:
            return self._late.get(storage, -1) if self._is_gone(storage, choice) else -1
        found = self.graph.storages[storage]
        return found.last_use if found.freed_here else len(self.graph.ops)

    def _sum_up(
        self,
        freed: NDArray[Any],
        between: dict[tuple[int, int], int],
        again: Again,
        moves: Sequence[Move],
    ) -> list[int]:
        """From what is made and freed where, what is alive."""
        graph, sizes = self.graph, self._sizes
        before = np.zeros(len(graph.ops), np.int64)  # what copies back and ops run again leave
        for move in moves:
            before[move.back] += sizes[move.storage]
        top = before.copy()  # the most while they run, above what is alive then
        for at, ops in again.items():
            live = most = int(before[at])
            for place, index in enumerate(ops):
                live += sum(sizes[storage] for storage in graph.born[index])
                most = max(most, live + graph.workspace_bytes[index])
                live -= between.get((at, place), 0)
            before[at], top[at] = live, most
        change = before + self._born - freed
        start = self._resident + np.cumsum(change) - change
        return np.maximum(start + top, start + before + self._born + self._workspace).tolist()


def _last_reads(graph: ActivationGraph) -> tuple[dict[int, int], dict[int, int]]:
    """By storage, the last op before the backward that makes or reads it, and the last one from there on."""
    early, late = dict[int, int](), dict[int, int]()
    for index in range(len(graph.ops)):
        found = early if index < graph.turn else late
        found |= dict.fromkeys((read.storage for read in graph.reads[index]), index)
        found |= dict.fromkeys(graph.born[index], index)
    return early, late
