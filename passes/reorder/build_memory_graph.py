"""Scheduling problems of a program's functions."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects.func import CallOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.call_graph import CallGraph, callee_name
from steelyard.compiler.analysis.memory_effects import written_values
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.storages import FunctionStorages
from steelyard.compiler.dialects.program import DropOp
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.passes.reorder.memory_graph import Buffer, MemoryGraph

Resource = int | str
"""A resource that ops read and write: a storage by index, or global state by name."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Reads and writes of an op or a called function.

    A function's storages are identified by the index of the argument.
    """

    reads: frozenset[Resource]
    writes: frozenset[Resource]


class MemoryGraphs:
    """Builder of the memory graphs of a program's functions, callees before callers.

    Def-use edges, in-place writes, random numbers and collectives constrain the order. Drops are left out:
    they follow from the order of the other ops.

    Args:
        graph: The functions.
        found: Their storages.
        workspace: Workspace bytes of an op's kernel.
    """

    def __init__(
        self,
        graph: CallGraph,
        found: Mapping[str, FunctionStorages],
        workspace: Callable[[Operation], int],
    ) -> None:
        self._entry = graph.entry.sym_name.data
        self._workspace = workspace
        self._found = found
        self._same = _same_arguments(self._found)
        self._reader = OpInfoCache()
        self._effects: dict[str, Effects] = {}

    def ops(self, name: str) -> list[Operation]:
        """The ops of a function's memory graph, in the function's order."""
        return [op for op in self._found[name].ops if not isinstance(op, DropOp)]

    def of(self, name: str, peaks: Mapping[str, int]) -> MemoryGraph:
        """The memory graph of a function.

        Args:
            name: The function.
            peaks: Peak of live bytes of each function that it calls, relative to the entry.
        """
        function, ops = self._found[name], self.ops(name)
        effects = [self._of_op(op, name) for op in ops]
        self._effects[name] = Effects(
            *(
                frozenset(
                    r for each in found for r in each if isinstance(r, str) or r < function.num_arguments
                )
                for found in ([e.reads for e in effects], [e.writes for e in effects])
            )
        )
        before = _dependencies(ops, effects)
        buffers = self._buffers(name, ops)
        _keep_what_calls_free(function, ops, buffers, before)
        own_bytes = [0] * len(ops)
        for buffer in buffers.values():
            if buffer.maker >= 0:
                own_bytes[buffer.maker] += buffer.bytes
        for index, op in enumerate(ops):
            called = isinstance(op, CallOp)
            own_bytes[index] = peaks[callee_name(op)] if called else own_bytes[index] + self._workspace(op)
        start = function.storages[: function.num_arguments] if name == self._entry else []
        return MemoryGraph(sum(s.bytes for s in start), own_bytes, [*buffers.values()], before)

    def _of_op(self, op: Operation, name: str) -> Effects:
        """Reads and writes of an op; a view does neither."""
        function, same = self._found[name], self._same[name]
        operands = [function.of[value] for value in op.operands]
        if isinstance(op, CallOp):
            inside = self._effects[callee_name(op)]
            return Effects(
                *(
                    frozenset(r if isinstance(r, str) else same(operands[r]) for r in found)
                    for found in (inside.reads, inside.writes)
                )
            )
        reads = {same(storage) for storage in operands}
        if not isinstance(op, TorchOp):
            return Effects(frozenset(reads), frozenset())
        work = self._reader.read(op).work
        writes: set[Resource] = {same(function.of[v]) for v in written_values(op, self._reader)}
        if work is None or work.is_random:
            writes.add("random numbers")
        if work is None or work.collective:
            writes.add("collectives")
        elif work.is_view:
            reads.clear()
        return Effects(frozenset(reads), frozenset(writes))

    def _buffers(self, name: str, ops: Sequence[Operation]) -> dict[int, Buffer]:
        """The buffers that the function makes or frees, by index of the storage."""
        function, same = self._found[name], self._same[name]
        place = {op: index for index, op in enumerate(ops)}
        buffers: dict[int, Buffer] = {}
        for k, storage in enumerate(function.storages):
            made = place[function.ops[storage.born]] if storage.born >= 0 else -1
            if made >= 0 or storage.freed_here:
                buffers[k] = Buffer(storage.bytes, made, set(), not storage.freed_here)
        for index, op in enumerate(ops):
            for k in {same(function.of[value]) for value in op.operands} & buffers.keys():
                buffers[k].users.add(index)
        return buffers


def _same_arguments(found: Mapping[str, FunctionStorages]) -> dict[str, Callable[[int], int]]:
    """For each function, a map from an argument to the first one that some call gives the same storage."""
    first: dict[str, dict[int, int]] = {name: {} for name in found}

    def same(name: str, storage: int) -> int:
        while storage in first[name]:
            storage = first[name][storage]
        return storage

    for name in reversed([*found]):  # callers first
        for op in found[name].ops:
            if not isinstance(op, CallOp):
                continue
            seen: dict[int, int] = {}
            for argument, value in enumerate(op.operands):
                mine = same(name, found[name].of[value])
                pair = argument, seen.setdefault(mine, argument)
                one, other = sorted(same(callee_name(op), k) for k in pair)
                if one != other:
                    first[callee_name(op)][other] = one
    return {name: (lambda storage, n=name: same(n, storage)) for name in found}


def _dependencies(ops: Sequence[Operation], effects: Sequence[Effects]) -> list[set[int]]:
    """The predecessors of each op."""
    place = {op: index for index, op in enumerate(ops)}
    before: list[set[int]] = []
    changed: dict[Resource, int] = {}
    read: defaultdict[Resource, list[int]] = defaultdict(list)
    for index, (op, effect) in enumerate(zip(ops, effects, strict=True)):
        earlier = {place[v.owner] for v in op.operands if isinstance(v.owner, Operation)}
        earlier |= {changed[r] for r in effect.reads | effect.writes if r in changed}
        for resource in effect.writes:
            earlier.update(read.pop(resource, ()))
            changed[resource] = index
        for resource in effect.reads - effect.writes:
            read[resource].append(index)
        before.append(earlier)
    return before


def _keep_what_calls_free(
    function: FunctionStorages,
    ops: Sequence[Operation],
    buffers: Mapping[int, Buffer],
    before: list[set[int]],
) -> None:
    """Constrain calls to remain the last users of exactly the storages they use last now.

    A function frees the arguments that all of its calls use last; another order would change what it may
    free.
    """
    place = {op: index for index, op in enumerate(ops)}
    for index, op in enumerate(ops):
        if not isinstance(op, CallOp):
            continue
        for k in {function.of[value] for value in op.operands} & buffers.keys():
            last = function.ops[function.storages[k].last_use]
            if last is op:
                before[index] |= buffers[k].users - {index}
            elif last in place:
                before[place[last]].add(index)
