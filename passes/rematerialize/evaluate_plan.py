"""Evaluation of remat policies: recomputed ops, host transfers, time and live bytes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.compiler.dialects.host import FetchOp, OffloadOp, StoreOp
from steelyard.passes.rematerialize.activation_graph import ActivationGraph, Read
from steelyard.passes.rematerialize.offload_timetable import Link, PrefetchSchedule, Transfer, stall_us

Recomputed = dict[int, list[int]]
"""By op of the backward, the ops that are recomputed right before it, in order."""


class RematPolicy(NamedTuple):
    """A remat policy: activations that are saved or offloaded; all others are recomputed.

    Attributes:
        saved: Storages that stay on the device until the backward.
        offloaded: Storages that are copied to the host and fetched back.
    """

    saved: frozenset[int]
    offloaded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class RematSchedule:
    """The program under a remat policy.

    Attributes:
        recomputed: The recomputed ops.
        transfers: The host transfers.
        cost_us: Time of recomputed ops, and stalls of kernels that wait for copies.
        live_bytes: Peak of live bytes at each op of the program and the recomputed ops before it.
    """

    recomputed: Recomputed
    transfers: Sequence[Transfer]
    cost_us: float
    live_bytes: list[int]

    @property
    def peak_bytes(self) -> int:
        """The peak of live bytes."""
        return max(self.live_bytes, default=0)


class PlanEvaluator:
    """Evaluator of remat policies on one program.

    Each op is recomputed at most once, right before the first op of the backward that needs it. A saved
    storage is freed where the program frees it, or after the last recomputed op that reads it; an offloaded
    one once its copy is on the host; any other after its last use in the forward. A recomputed or fetched
    storage is freed after its last use in the backward.

    Args:
        graph: The program.
        link: The link to the host; without it nothing is offloaded.
        before_us: Step time that costs are relative to; by default the program's own.
    """

    def __init__(
        self, graph: ActivationGraph, link: Link | None = None, before_us: float | None = None
    ) -> None:
        self.graph = graph
        self.link = link
        self._copies = any(isinstance(op, OffloadOp | FetchOp | StoreOp) for op in graph.ops)
        self.step_us = sum(graph.cost_us) + self._stall_us({}, ())
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
        """The peak if activations took no memory: a lower bound for every policy."""
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

    def complete(self, policy: RematPolicy) -> RematPolicy:
        """Complete a policy so that every read of the backward finds its value.

        Results of ops that are not recomputable (random, mutated later) are saved; operands of recomputed ops
        are required in turn. A storage that nothing reads after its fetch is not offloaded, nor one that is
        needed before its copy is out.
        """
        found = self._close(policy)
        while self.link and found.offloaded:
            recomputed, needed = self._recomputed(found)
            late = PrefetchSchedule(self.graph, recomputed, self._early, needed, self.link).late()
            if not late:
                break
            found = self._close(RematPolicy(found.saved | late, found.offloaded - late))
        return found

    def evaluate(self, policy: RematPolicy) -> RematSchedule:
        """Evaluate a complete policy."""
        graph = self.graph
        recomputed, needed = self._recomputed(policy)
        recomputed_us = sum(graph.cost_us[index] for ops in recomputed.values() for index in ops)
        transfers: Sequence[Transfer] = ()
        if self.link and needed:
            transfers = PrefetchSchedule(graph, recomputed, self._early, needed, self.link).transfers()
        cost_us = self._more_us + recomputed_us + self._stall_us(recomputed, transfers)
        return RematSchedule(recomputed, transfers, cost_us, self._live_bytes(policy, recomputed, transfers))

    def _stall_us(self, recomputed: Recomputed, transfers: Sequence[Transfer]) -> float:
        if self.link is None or not (transfers or self._copies):
            return 0.0
        return stall_us(self.graph, recomputed, transfers, self.link)

    def _close(self, policy: RematPolicy) -> RematPolicy:
        """The least extension of a policy with which every read of the backward finds its value."""
        graph = self.graph
        saved = set(policy.saved)
        offloaded = (policy.offloaded & self._activations) - graph.mutated - policy.saved
        needed = [False] * graph.first_backward_op
        returns = set[int]()

        def ask(read: Read) -> None:
            if self._is_there(read, saved):
                return
            if self._comes_back(read, offloaded):
                returns.add(read.storage)
            elif read.storage in graph.mutated or not graph.recomputable[read.maker]:
                saved.add(read.storage)
            else:
                needed[read.maker] = True

        for _, read in graph.backward_reads:
            ask(read)
        for index in range(graph.first_backward_op - 1, -1, -1):
            if needed[index]:
                for read in graph.reads[index]:
                    ask(read)
        return RematPolicy(frozenset(saved), frozenset(returns - saved))

    def _is_there(self, read: Read, saved: frozenset[int] | set[int]) -> bool:
        """Whether the backward still finds a value of the forward."""
        return read.maker < 0 or read.storage in saved or not self.graph.is_releasable(read.storage)

    def _comes_back(self, read: Read, offloaded: frozenset[int]) -> bool:
        """Whether a fetch restores a value: it is the one its storage was created with, not a view."""
        return read.storage in offloaded and read.maker == self.graph.storages[read.storage].born

    def _recomputed(self, policy: RematPolicy) -> tuple[Recomputed, dict[int, int]]:
        """The recomputed ops, and for each offloaded storage the op that needs it first."""
        graph, done = self.graph, set[int]()
        recomputed: Recomputed = {}
        needed: dict[int, int] = {}
        for index, read in graph.backward_reads:
            missing, pending = set[int](), [read]
            while pending:
                each = pending.pop()
                if each.maker in done or each.maker in missing or self._is_there(each, policy.saved):
                    continue
                if self._comes_back(each, policy.offloaded):
                    needed.setdefault(each.storage, index)
                    continue
                missing.add(each.maker)
                pending += graph.reads[each.maker]
            if missing:
                done |= missing
                recomputed[index] = sorted({*recomputed.get(index, ()), *missing})
        return recomputed, needed

    def _live_bytes(
        self, policy: RematPolicy, recomputed: Recomputed, transfers: Sequence[Transfer]
    ) -> list[int]:
        """Peak of live bytes at each op of the program and the recomputed ops before it."""
        sizes, freed = self._sizes, self._freed.copy()
        for storage in self._activations - policy.saved:
            freed[self.graph.storages[storage].last_use] -= sizes[storage]
            freed[self._early[storage]] += sizes[storage]
        for transfer in transfers:
            freed[transfer.offload_after] -= sizes[transfer.storage]
            freed[transfer.free_after] += sizes[transfer.storage]
        between: dict[tuple[int, int], int] = defaultdict(int)
        for (storage, is_copy), place in self._last_uses(policy, recomputed, transfers).items():
            end = self._program_end(storage, is_copy, policy)
            if end < place[0]:
                between[place] += sizes[storage]
            if is_copy and end >= place[0]:
                freed[end] += sizes[storage]
            elif not is_copy and end < place[0]:
                freed[end] -= sizes[storage]
        return self._sum_up(freed, between, recomputed, transfers)

    def _last_uses(
        self, policy: RematPolicy, recomputed: Recomputed, transfers: Sequence[Transfer]
    ) -> dict[tuple[int, bool], tuple[int, int]]:
        """The last recomputed op that uses each storage; the original and its second copy count separately.

        For a fetched copy that no recomputed op uses, the place of the fetch.
        """
        graph, last = self.graph, dict[tuple[int, bool], tuple[int, int]]()
        for transfer in transfers:
            last[transfer.storage, True] = transfer.fetch_before, -1
        for at, ops in recomputed.items():
            for place, index in enumerate(ops):
                for read in graph.reads[index]:
                    last[read.storage, self._is_gone(read.storage, policy)] = at, place
                for storage in graph.born[index]:
                    last[storage, True] = at, place
        return last

    def _is_gone(self, storage: int, policy: RematPolicy) -> bool:
        return self.graph.is_releasable(storage) and storage not in policy.saved

    def _program_end(self, storage: int, is_copy: bool, policy: RematPolicy) -> int:
        """The last original op that uses a storage; -1 if none does."""
        if is_copy:
            return self._late.get(storage, -1) if self._is_gone(storage, policy) else -1
        found = self.graph.storages[storage]
        return found.last_use if found.freed_here else len(self.graph.ops)

    def _sum_up(
        self,
        freed: NDArray[Any],
        between: dict[tuple[int, int], int],
        recomputed: Recomputed,
        transfers: Sequence[Transfer],
    ) -> list[int]:
        """Accumulate allocations and frees to live bytes."""
        graph, sizes = self.graph, self._sizes
        before = np.zeros(len(graph.ops), np.int64)  # left by fetches and recomputed ops
        for transfer in transfers:
            before[transfer.fetch_before] += sizes[transfer.storage]
        top = before.copy()  # peak while they run, relative to then
        for at, ops in recomputed.items():
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
    """The last op that makes or reads each storage, in the forward and in the backward."""
    early, late = dict[int, int](), dict[int, int]()
    for index in range(len(graph.ops)):
        found = early if index < graph.first_backward_op else late
        found |= dict.fromkeys((read.storage for read in graph.reads[index]), index)
        found |= dict.fromkeys(graph.born[index], index)
    return early, late
