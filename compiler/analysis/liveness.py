"""Live bytes at each op of a program, the peak, and the storages that are alive there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.call_graph import CallGraph, call_graph, callee_name
from steelyard.compiler.analysis.storages import FunctionStorages, Storage, find_storages, join_paths, path_of
from steelyard.compiler.dialects.cost import LiveBytes
from steelyard.compiler.dialects.program import OP_PATH, PATH, ROLE, SOURCE, argument_texts, text_attribute

Workspace: TypeAlias = Callable[[Operation], int]
"""Bytes that the kernel of an op takes while it runs, beside its operands and results."""


def no_workspace(op: Operation) -> int:
    """Zero bytes for any op."""
    return 0


@dataclass(frozen=True, slots=True)
class LiveStorage:
    """A storage that is alive: its bytes, its role, and the module path of its argument or its maker.

    The role is that of the program's argument (parameter, buffer, input, target, optimizer_state, which
    may be fetched from the host), else gradient, activation (made in the forward, used in the backward),
    communication (made by a collective), temporary, or workspace of the kernel that runs. The source is the
    line of the maker.
    """

    role: str
    path: str
    bytes: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Liveness:
    """Live bytes of a program.

    Attributes:
        at: By op; inside a function that is called they count from its entry.
        peak_bytes: The most that is alive at once.
        peak_at: Where that is: the calls that lead there, then the op; empty in a program without ops.
        peak: What is alive there.
    """

    at: dict[Operation, LiveBytes]
    peak_bytes: int
    peak_at: tuple[Operation, ...]
    peak: tuple[LiveStorage, ...]


def liveness(module: ModuleOp, workspace: Workspace = no_workspace) -> Liveness:
    """Find the live bytes of a program whose analyses nobody shares; see `liveness_of`.

    Raises:
        IRError: the module is not a program, or its types cannot be read.
    """
    graph = call_graph(module)
    return liveness_of(graph, find_storages(graph), workspace)


def liveness_of(
    graph: CallGraph, found: dict[str, FunctionStorages], workspace: Workspace = no_workspace
) -> Liveness:
    """Find what is alive when.

    An op's operands are alive while it runs; what it uses last is freed after it. Views, in-place results and
    results of type `none` allocate nothing. What a function is given and does not keep is freed inside it.

    Args:
        graph: A program.
        found: The storages of its functions.
        workspace: Bytes that the kernel of an op takes while it runs, beside its operands and results.
    """
    timelines: dict[str, _Timeline] = {}
    at: dict[Operation, LiveBytes] = {}
    entry = graph.entry.sym_name.data
    for name, function in found.items():
        start = sum(storage.bytes for storage in function.storages[: function.num_arguments])
        timelines[name] = _run(function, start if name == entry else 0, timelines, at, workspace)
    peak = _Peak(found, timelines)
    roles, paths = argument_texts(graph.entry, ROLE), argument_texts(graph.entry, PATH)
    live = [
        LiveStorage(roles[k], paths[k], storage.bytes) if k < len(roles) else _made(storage)
        for k, storage in peak.alive(entry)
    ]
    live += [_made(storage) for storage in peak.inside]
    if peak.ops and (scratch := workspace(peak.ops[-1])):
        source = text_attribute(peak.ops[-1], SOURCE)
        live.append(LiveStorage("workspace", path_of(peak.ops), scratch, source))
    return Liveness(at, timelines[entry].peak_bytes, tuple(peak.ops), tuple(live))


@dataclass(frozen=True, slots=True)
class _Timeline:
    peak_bytes: int
    peak_index: int


def _run(
    function: FunctionStorages,
    start_bytes: int,
    callees: dict[str, _Timeline],
    at: dict[Operation, LiveBytes],
    workspace: Workspace,
) -> _Timeline:
    born = [0] * len(function.ops)
    freed = [0] * len(function.ops)
    for storage in function.storages:
        if storage.born >= 0:
            born[storage.born] += storage.bytes
        if storage.freed_here:
            freed[storage.last_use] += storage.bytes
    live = peak = start_bytes
    peak_index = -1
    for index, op in enumerate(function.ops):
        top = live + born[index] + workspace(op)
        if isinstance(op, CallOp):
            top = live + callees[callee_name(op)].peak_bytes
        after = live + born[index] - freed[index]
        at[op] = LiveBytes(before=live, at=top, after=after, allocates=top - live, frees=top - after)
        if top > peak or peak_index < 0:
            peak, peak_index = max(peak, top), index
        live = after
    return _Timeline(peak, peak_index)


class _Peak:
    """Follows the calls to the op at which most is alive.

    Attributes:
        ops: The calls on the way and the op.
        inside: What functions on the way made for themselves, with the path from the program's root.
    """

    def __init__(self, found: dict[str, FunctionStorages], timelines: dict[str, _Timeline]) -> None:
        self._found = found
        self._timelines = timelines
        self.ops: list[Operation] = []
        self.inside: list[Storage] = []

    def alive(self, name: str, prefix: str = "") -> list[tuple[int, Storage]]:
        """The storages of a function that are alive at its peak, by index; `prefix` is the path so far."""
        function, index = self._found[name], self._timelines[name].peak_index
        if index < 0:
            return [*enumerate(function.storages)]
        op = function.ops[index]
        self.ops.append(op)
        alive = {k for k, s in enumerate(function.storages) if s.born <= index and _lasts(s, index)}
        if isinstance(op, CallOp):
            alive = self._through(function, op, alive, prefix)
        return [(k, function.storages[k]) for k in sorted(alive)]

    def _through(self, function: FunctionStorages, call: CallOp, alive: set[int], prefix: str) -> set[int]:
        callee = self._found[callee_name(call)]
        prefix = join_paths(prefix, text_attribute(call, OP_PATH))
        inside = dict(self.alive(callee_name(call), prefix))
        mine = {k: function.of[value] for k, value in enumerate(call.operands)}
        mine |= {k: function.of[value] for k, value in zip(callee.results, call.results, strict=True)}
        gone = {mine[k] for k in mine if k not in inside}
        self.inside += [
            replace(storage, path=join_paths(prefix, storage.path))
            for k, storage in inside.items()
            if k not in mine
        ]
        return alive - gone


def _lasts(storage: Storage, index: int) -> bool:
    return not storage.freed_here or storage.last_use >= index


def _made(storage: Storage) -> LiveStorage:
    return LiveStorage(storage.role, storage.path, storage.bytes, storage.source)
