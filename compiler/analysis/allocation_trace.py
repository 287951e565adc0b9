"""The trace of a program's allocations: one event for each storage that is made or given back, in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from xdsl.dialects.func import CallOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.call_graph import callee_name
from steelyard.compiler.analysis.liveness import LiveStorage, Workspace, no_workspace
from steelyard.compiler.analysis.storages import FunctionStorages, Storage, join_paths, path_of
from steelyard.compiler.dialects.program import PATH, PHASE, ROLE, SOURCE, argument_texts, text_attribute


@dataclass(frozen=True, slots=True)
class Allocation:
    """One event.

    Attributes:
        storage: The number of the storage; the arguments of the program come first, in their order.
        bytes: Its size; negative where it is given back.
        at: The calls that lead to the op, then the op; empty for an argument of the program.
    """

    storage: int
    bytes: int
    at: tuple[Operation, ...]


def allocations(program: Analyses, workspace: Workspace = no_workspace) -> Iterator[Allocation]:
    """Yield what one run of a program allocates and frees.

    First the storages of its arguments, which it does not free. Then, for each op that runs, its results and
    its workspace, which goes at once, and the storages that it uses last. What the program returns is not
    freed.

    Args:
        program: Its analyses.
        workspace: Bytes that the kernel of an op takes while it runs, beside its operands and results.

    Raises:
        IRError: the module is not a program, or its types cannot be read.
    """
    yield from _Walk(program, workspace).events()


def owned_allocations(
    program: Analyses, workspace: Workspace = no_workspace
) -> tuple[list[Allocation], dict[int, LiveStorage]]:
    """As `allocations`, and what each storage is by its number."""
    walk = _Walk(program, workspace)
    return [*walk.events()], walk.owners()


def first_step(program: Analyses, events: Sequence[Allocation]) -> list[Allocation]:
    """The events of the first training step: the optimizer makes its state when it runs for the first time.

    Args:
        program: In its steady state, whose optimizer state is among its arguments.
        events: Its allocations.
    """
    entry = program.call_graph.entry
    late = {n for n, role in enumerate(argument_texts(entry, ROLE)) if role == "optimizer_state"}
    ops = [*entry.body.block.ops]
    maker = next((op for op in ops if text_attribute(op, PHASE) == "optimizer"), None)
    if maker is None:
        return list(events)
    earlier = set(ops[: ops.index(maker)])
    state = [replace(event, at=(maker,)) for event in events if not event.at and event.storage in late]
    before = [e for e in events if (e.at[0] in earlier if e.at else e.storage not in late)]
    after = [event for event in events if event.at and event.at[0] not in earlier]
    return [*before, *state, *after]


class _Walk:
    def __init__(self, program: Analyses, workspace: Workspace) -> None:
        self._entry = program.call_graph.entry
        self._found = program.storages
        self._workspace = workspace
        self._returned: list[int] = []
        self._arguments: list[LiveStorage] = []
        self._made: list[LiveStorage | tuple[Storage, str]] = []
        """Workspace, and storages with the path of the calls to their maker; without the arguments."""

    def events(self) -> Iterator[Allocation]:
        """The events of the program."""
        name = self._entry.sym_name.data
        arguments = self._found[name].storages[: self._found[name].num_arguments]
        roles, paths = argument_texts(self._entry, ROLE), argument_texts(self._entry, PATH)
        for number, (storage, role, path) in enumerate(zip(arguments, roles, paths, strict=True)):
            self._arguments.append(LiveStorage(role, path, storage.bytes))
            yield Allocation(number, storage.bytes, ())
        yield from self._run(name, list(range(len(arguments))), ())

    def owners(self) -> dict[int, LiveStorage]:
        """Owners of storages, valid after the last event."""
        made = (each if isinstance(each, LiveStorage) else _live(*each) for each in self._made)
        return dict(enumerate([*self._arguments, *made]))

    def _make(self, made: LiveStorage | tuple[Storage, str]) -> int:
        self._made.append(made)
        return len(self._arguments) + len(self._made) - 1

    def _run(self, name: str, numbers: list[int], calls: tuple[Operation, ...]) -> Iterator[Allocation]:
        """The events of a function whose arguments have the storages of these numbers."""
        function, prefix = self._found[name], path_of(calls)
        known = dict(enumerate(numbers))
        born: list[list[int]] = [[] for _ in function.ops]
        freed: list[list[int]] = [[] for _ in function.ops]
        for k, storage in enumerate(function.storages):
            if storage.born >= 0:
                born[storage.born].append(k)
            if storage.freed_here and storage.bytes:
                freed[storage.last_use].append(k)
        for index, op in enumerate(function.ops):
            at = (*calls, op)
            if isinstance(op, CallOp):
                yield from self._run(callee_name(op), [known[function.of[v]] for v in op.operands], at)
                self._take_returned(function, op, known, prefix)
                theirs = self._found[callee_name(op)].storages
                inside = {function.of[v] for v, s in zip(op.operands, theirs, strict=False) if s.freed_here}
                gone = [k for k in freed[index] if k not in inside]
            else:
                for k in born[index]:
                    known[k] = self._make((function.storages[k], prefix))
                    yield Allocation(known[k], function.storages[k].bytes, at)
                if scratch := self._workspace(op):
                    source = text_attribute(op, SOURCE)
                    number = self._make(LiveStorage("workspace", path_of(at), scratch, source))
                    yield Allocation(number, scratch, at)
                    yield Allocation(number, -scratch, at)
                gone = freed[index]
            for k in gone:
                yield Allocation(known[k], -function.storages[k].bytes, at)
        self._returned = [known[k] for k in function.results]

    def _take_returned(
        self, function: FunctionStorages, call: CallOp, known: dict[int, int], prefix: str
    ) -> None:
        """Take over a call's returned storages, whose owner the caller knows better."""
        for value, number in zip(call.results, self._returned, strict=True):
            k = function.of[value]
            known.setdefault(k, number)
            if k >= function.num_arguments and number >= len(self._arguments):
                self._made[number - len(self._arguments)] = function.storages[k], prefix


def _live(storage: Storage, prefix: str) -> LiveStorage:
    return LiveStorage(storage.role, join_paths(prefix, storage.path), storage.bytes, storage.source)
