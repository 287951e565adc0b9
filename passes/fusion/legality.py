"""Fusion legality: groups of ops that can be sunk to their last member."""

from collections.abc import Iterator, Sequence

from xdsl.dialects.func import CallOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.liveness import Liveness
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.storages import FunctionStorages, Storage
from steelyard.compiler.dialects.program import PHASE, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.compose import FusionError
from steelyard.passes.op_cost.fused_work import compose_members

Group = tuple[int, ...]
"""Ops that become one kernel, by their index in the function, in order."""


class FusionScope:
    """A function in which groups are sought.

    A group runs at the place of its last op, so the others move down to it: nobody else may need their
    results before, nobody may change their operands in place meanwhile, and what is kept alive longer for
    it must not raise the peak of the function.
    """

    def __init__(self, storages: FunctionStorages, live: Liveness, reader: OpInfoCache) -> None:
        self.ops = storages.ops
        self._storages = storages
        self.reader = reader
        self._live = [live.at[op].at for op in self.ops]
        self._peak = max(self._live, default=0)
        self._index = {op: index for index, op in enumerate(self.ops)}
        self._calls = [index for index, op in enumerate(self.ops) if isinstance(op, CallOp)]
        written = {index: self._written(op) for index, op in enumerate(self.ops) if isinstance(op, TorchOp)}
        self._writes = {index: found for index, found in written.items() if found}

    def members(self, group: Group) -> list[TorchOp]:
        """The ops of a group."""
        return [op for op in (self.ops[index] for index in group) if isinstance(op, TorchOp)]

    def candidates(self) -> Iterator[int]:
        """The ops that could be in a group: pointwise, with results of their own, changing nothing."""
        for index, op in enumerate(self.ops):
            if not isinstance(op, TorchOp) or index in self._writes:
                continue
            facts = self.reader.read(op)
            if facts.work and facts.work.kind == "pointwise" and set(facts.aliases) == {None}:
                yield index

    def producers(self, index: int) -> list[int]:
        """The ops whose results an op reads."""
        owners = [value.owner for value in self.ops[index].operands]
        return [self._index[owner] for owner in owners if isinstance(owner, Operation)]

    def inputs(self, group: Group) -> list[SSAValue]:
        """The values that a group reads and does not make."""
        members = self.members(group)
        read = dict.fromkeys(value for op in members for value in op.operands)
        return [value for value in read if value.owner not in members]

    def outputs(self, group: Group) -> list[SSAValue]:
        """The values that a group makes and others read; the end of a reference is no reading."""
        members = self.members(group)
        return [value for op in members for value in op.results if _readers(value, members)]

    def obstacle(self, group: Group) -> str | None:
        """Why a group cannot be one kernel; None if it can."""
        members = self.members(group)
        first, last = group[0], group[-1]
        if len({text_attribute(op, PHASE) for op in members}) > 1:
            return "they are of different phases"
        if any(first < call < last for call in self._calls):
            return "a call lies between them"
        outputs = self.outputs(group)
        if why := self.fusion_error(group):
            return why
        for value in outputs:
            for reader in _readers(value, members):
                if self._index.get(reader, last) < last:
                    return f"{operator_name(reader)} between them reads a result"
        for index in range(first + 1, last):
            before = [op for op in members if self._index[op] < index]
            if self._writes.get(index, set()) & self._storages_of(v for op in before for v in op.operands):
                return f"{operator_name(self.ops[index])} between them changes an operand in place"
        return None if self.fits_memory(group) else "operands kept alive longer would raise the peak"

    def fusion_error(self, group: Group) -> str | None:
        """Why the work of a group does not compose into that of one kernel; None if it does."""
        try:
            compose_members(self.members(group), self.outputs(group), self.reader)
        except FusionError as error:
            return str(error)
        return None

    def fits_memory(self, group: Group) -> bool:
        """Whether no op on the way sees more alive than the peak."""
        return all(self._live[i] + change <= self._peak for i, change in self._changes(group))

    def accept(self, group: Group) -> None:
        """Book what a group changes in memory, for the groups that are weighed after it."""
        for index, change in list(self._changes(group)):
            self._live[index] += change
        for storage in self._kept(group):
            storage.last_use = max(storage.last_use, group[-1])

    def replace(self, group: Group, outputs: Sequence[SSAValue], kernel: Operation) -> None:
        """Put a kernel, already in its place, in the stead of a group; references end after it."""
        members = self.members(group)
        inputs, block = self.inputs(group), kernel.parent_block()
        assert block is not None
        self._index[kernel] = group[-1]
        for value, new in zip(outputs, kernel.results, strict=True):
            value.replace_all_uses_with(new)
            self._storages.of[new] = self._storages.of[value]
        for op in (drop for member in members for value in member.results for drop in _drops(value)):
            op.detach()
            op.erase()
        for drop in (drop for value in (*inputs, *kernel.results) for drop in _drops(value)):
            if self._index[drop] < group[-1]:
                drop.detach()
                block.insert_op_after(drop, kernel)
                self._index[drop] = group[-1]
        for member in reversed(members):
            member.detach()
            member.erase()

    def _changes(self, group: Group) -> Iterator[tuple[int, int]]:
        """By op, how many bytes more are alive with the group in one place: what is kept, less what waits."""
        members, last = self.members(group), group[-1]
        kept = self._kept(group)
        written = set(self.outputs(group))
        made = [(self._index[op], value) for op in members for value in op.results]
        for index in range(group[0], last + 1):
            more = sum(storage.bytes for storage in kept if storage.last_use < index)
            less = sum(
                self._storage(value).bytes
                for born, value in made
                if born <= index <= self._storage(value).last_use and (index < last or value not in written)
            )
            yield index, more - less

    def _kept(self, group: Group) -> list[Storage]:
        found = self._storages_of(self.inputs(group))
        return [s for s in (self._storages.storages[k] for k in found) if s.freed_here]

    def _storage(self, value: SSAValue) -> Storage:
        return self._storages.storages[self._storages.of[value]]

    def _storages_of(self, values: Iterator[SSAValue] | Sequence[SSAValue]) -> set[int]:
        return {self._storages.of[value] for value in values}

    def _written(self, op: TorchOp) -> set[int]:
        names = [parameter.name for parameter in op.schema.parameters if parameter.writes]
        if not names:
            return set()
        arguments = op.arguments()
        found = set[int]()
        for given in (arguments.get(name) for name in names):
            values = given if isinstance(given, list) else [given]
            found |= self._storages_of([value for value in values if isinstance(value, SSAValue)])
        return found


def _readers(value: SSAValue, members: Sequence[TorchOp]) -> list[Operation]:
    users = [use.operation for use in value.uses]
    return [user for user in users if user not in members and not isinstance(user, DropOp)]


def _drops(value: SSAValue) -> list[DropOp]:
    return [user for user in (use.operation for use in value.uses) if isinstance(user, DropOp)]
