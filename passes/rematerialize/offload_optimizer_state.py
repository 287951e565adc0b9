"""Optimizer state on the host: the update in chunks, each with its state fetched before and stored after."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from xdsl.dialects.builtin import StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue
from xdsl.rewriter import Rewriter

from steelyard.compiler.analysis.op_facts import OpInfoCache, size_bytes
from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.dialects.host import FetchOp, HostType, StoreOp
from steelyard.compiler.dialects.program import PHASE, ROLE, DropOp, argument_texts, text_attribute
from steelyard.compiler.dialects.torch_op import Argument, TorchOp
from steelyard.passes.rematerialize.offload_timetable import Link

_CHUNKS = 16
"""Number of chunks of the moved state; fewer where one parameter's state is larger."""

_LEAST = 4096
"""State smaller than this fraction of all state stays: its copy would be all latency."""


@dataclass(frozen=True, slots=True)
class HostStatePlan:
    """Share of the optimizer state that lives on the host, and chunks of it on the device at once.

    Attributes:
        share: Least share of the state, by bytes, that is moved; parameters are taken from the last on.
        buffers: Chunks on the device: one is updated, the others are in transfer.
    """

    share: float
    buffers: int


HOST_STATE_PLANS = tuple(HostStatePlan(share, buffers) for share in (0.25, 0.5, 1.0) for buffers in (2, 8))
"""The plans that are tried, besides moving nothing."""


def state_to_host(function: FuncOp, plan: HostStatePlan, link: Link) -> int:
    """Split the fused optimizers of a flat step and keep their state on the host; return the bytes moved.

    Moved state becomes an argument of type `!host.copy`. The first chunks are fetched in the backward, early
    enough for the update; each further one once an earlier one is stored.
    """
    moved = 0
    for op in [op for op in function.body.block.ops if isinstance(op, TorchOp)]:
        update = _Update.of(op, function)
        if update:
            moved += update.move(plan, link)
    function.update_function_type()
    return moved


@dataclass(frozen=True, slots=True)
class _Update:
    """A fused optimizer: its op, and the movable state of each parameter."""

    op: TorchOp
    states: Sequence[Sequence[BlockArgument]]

    @classmethod
    def of(cls, op: TorchOp, function: FuncOp) -> "_Update | None":
        work = OpInfoCache().read(op).work if text_attribute(op, PHASE) == "optimizer" else None
        if work is None or work.kind != "optimizer" or op.results:
            return None
        given = op.arguments()
        lists = [given[name] for name in work.mutates if name not in ("self", "grads")]
        roles = argument_texts(function, ROLE)

        def movable(value: SSAValue | None) -> bool:
            return (
                isinstance(value, BlockArgument)
                and value.owner is function.body.block
                and roles[value.index] == "optimizer_state"
                and not isinstance(value.type, HostType)
                and value.uses.get_length() == 1
            )

        rows = zip(*(cast("list[SSAValue | None]", each) for each in lists), strict=True)
        states = [tuple(cast(BlockArgument, value) for value in row if movable(value)) for row in rows]
        return cls(op, _large(states)) if any(states) else None

    def move(self, plan: HostStatePlan, link: Link) -> int:
        """Replace the op by its chunks; return the bytes moved to the host."""
        chunks = self._cut(plan.share)
        phases = [text_attribute(op, PHASE) for op in _before(self.op)]
        if not chunks or "backward" not in phases:
            return 0
        resident = range(chunks[0].start)
        moved = [[state for index in chunk for state in self.states[index]] for chunk in chunks]
        size = sum(map(_bytes, (state for chunk in moved for state in chunk)))
        if resident:
            _put(self._part(resident, {}), self.op)
        hosted = [[_to_host(state) for state in chunk] for chunk in moved]
        early = min(plan.buffers, len(chunks))
        fetched: list[list[FetchOp]] = []
        took_us = [sum(link.copy_us(size_bytes(_tensor(each))) for each in chunk) for chunk in hosted]
        for number in range(early):
            ahead_us = link.ahead * sum(took_us[number:early])
            fetched.append(_fetch(hosted[number], _ahead_of(self.op, ahead_us)))
        for number, chunk in enumerate(chunks):
            values: dict[SSAValue, SSAValue] = {fetch.copy: fetch.value for fetch in fetched[number]}
            _put(self._part(chunk, values), self.op)
            for fetch in fetched[number]:
                _put(StoreOp(fetch.value, fetch.copy), self.op)
            for fetch in fetched[number]:
                _put(DropOp(fetch.value), self.op)
            if number + early < len(chunks):
                fetched.append(_fetch(hosted[number + early], self.op))
        self.op.detach()
        self.op.erase()
        return size

    def _cut(self, share: float) -> list[range]:
        """Ranges of consecutive parameters, from the first with moved state to the last one."""
        sizes = [sum(map(_bytes, row)) for row in self.states]
        total, start = sum(sizes), len(sizes)
        while start and sum(sizes[start:]) < share * total:
            start -= 1
        most = max(max(sizes[start:], default=0), sum(sizes[start:]) // _CHUNKS)
        chunks: list[range] = []
        for index in range(start, len(sizes)):
            if chunks and sum(sizes[chunks[-1].start : index + 1]) <= most:
                chunks[-1] = range(chunks[-1].start, index + 1)
            else:
                chunks.append(range(index, index + 1))
        return chunks

    def _part(self, indices: range, values: Mapping[SSAValue, SSAValue]) -> TorchOp:
        """The optimizer of some parameters: lists with one item per parameter are sliced."""

        def part(value: Argument) -> Argument:
            if not isinstance(value, list) or len(value) != len(self.states):
                return value
            items = cast("list[SSAValue | None]", value)[indices.start : indices.stop]
            return [values.get(item, item) if item else None for item in items]

        given: dict[str, Argument] = {name: part(value) for name, value in self.op.arguments().items()}
        made = type(self.op).build_call(self.op.schema, given, [])
        made.attributes.update(self.op.attributes)
        return made


def _large(states: Sequence[Sequence[BlockArgument]]) -> list[tuple[BlockArgument, ...]]:
    least = sum(_bytes(state) for row in states for state in row) / _LEAST
    return [tuple(state for state in row if _bytes(state) >= least) for row in states]


def _bytes(state: SSAValue) -> int:
    return size_bytes(state.type)


def _tensor(state: SSAValue) -> Attribute:
    return cast(HostType, state.type).tensor


def _to_host(state: BlockArgument) -> SSAValue:
    return Rewriter.replace_value_with_new_type(state, HostType(state.type))


def _fetch(states: Sequence[SSAValue], before: Operation) -> list[FetchOp]:
    made = [FetchOp(state) for state in states]
    for fetch in made:
        fetch.value.name_hint = fetch.copy.name_hint
        _put(fetch, before)
    return made


def _put(op: Operation, before: Operation) -> None:
    op.attributes[PHASE] = StringAttr("optimizer")
    block = before.parent
    assert block is not None, "the optimizer is in the step"
    block.insert_op_before(op, before)


def _before(op: Operation) -> Iterator[Operation]:
    """The ops before one, the last first."""
    while (previous := op.prev_op) is not None:
        yield previous
        op = previous


def _ahead_of(update: Operation, ahead_us: float) -> Operation:
    """The last op that starts at least so long before the update; else the first op of the backward."""
    found = update
    before = list(_before(update))
    first = max(index for index, op in enumerate(before) if text_attribute(op, PHASE) == "backward")
    for op in before[: first + 1]:
        if ahead_us <= 0:
            break
        latency = op.attributes.get(LATENCY)
        ahead_us -= latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0
        found = op
    return found
