"""What a program asks of an allocator, in order: one event for each storage that is made or given back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp
from xdsl.ir import Operation

from steelyard.compiler.call_graph import call_graph, callee_name
from steelyard.compiler.dialects.program import PHASE, ROLE, argument_texts, text_attribute
from steelyard.compiler.storage import FunctionStorages, find_storages


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


def allocations(
    module: ModuleOp, workspace: Callable[[Operation], int] = lambda op: 0
) -> Iterator[Allocation]:
    """Yield what one run of a program allocates and frees.

    First the storages of its arguments, which it does not free. Then, for each op that runs, its results and
    its workspace, which goes at once, and the storages that it uses last. What the program returns is not
    freed.

    Args:
        module: A program.
        workspace: Bytes that the kernel of an op takes while it runs, beside its operands and results.

    Raises:
        IRError: the module is no program, or its types cannot be read.
    """
    graph = call_graph(module)
    walk = _Walk(find_storages(graph), workspace)
    entry = graph.entry.sym_name.data
    arguments = walk.found[entry].storages[: walk.found[entry].num_arguments]
    for storage in arguments:
        yield Allocation(walk.number(), storage.bytes, ())
    yield from walk.run(entry, list(range(len(arguments))), ())


def first_step(module: ModuleOp, events: Sequence[Allocation]) -> list[Allocation]:
    """The events of the first training step: the optimizer makes its state when it runs for the first time.

    Args:
        module: A program in its steady state, whose optimizer state is among its arguments.
        events: Its allocations.
    """
    entry = call_graph(module).entry
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
    def __init__(self, found: dict[str, FunctionStorages], workspace: Callable[[Operation], int]) -> None:
        self.found = found
        self._workspace = workspace
        self._count = 0
        self._returned: list[int] = []

    def number(self) -> int:
        """A number that no storage has yet."""
        self._count += 1
        return self._count - 1

    def run(self, name: str, numbers: list[int], calls: tuple[Operation, ...]) -> Iterator[Allocation]:
        """The events of a function whose arguments have the storages of these numbers."""
        function = self.found[name]
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
                yield from self.run(callee_name(op), [known[function.of[v]] for v in op.operands], at)
                for value, number in zip(op.results, self._returned, strict=True):
                    known.setdefault(function.of[value], number)
                theirs = self.found[callee_name(op)].storages
                inside = {function.of[v] for v, s in zip(op.operands, theirs, strict=False) if s.freed_here}
                gone = [k for k in freed[index] if k not in inside]
            else:
                for k in born[index]:
                    known[k] = self.number()
                    yield Allocation(known[k], function.storages[k].bytes, at)
                if scratch := self._workspace(op):
                    number = self.number()
                    yield Allocation(number, scratch, at)
                    yield Allocation(number, -scratch, at)
                gone = freed[index]
            for k in gone:
                yield Allocation(known[k], -function.storages[k].bytes, at)
        self._returned = [known[k] for k in function.results]
