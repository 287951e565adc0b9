"""Optimizer state on the host: an update in chunks, whose state comes before and goes after."""

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
"""Chunks of what moves, fewer where one parameter's state is larger."""

_LEAST = 4096
"""What is less than this part of all state stays: a copy of it would be all start."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How much state lives on the host, and how many chunks of it are on the device at once.

    Attributes:
        share: The least part of the state, by bytes, whose parameters are the last of the optimizer.
        buffers: Chunks on the device: one is updated, the others are on their way.
    """

    share: float
    buffers: int


PLACEMENTS = tuple(Placement(share, buffers) for share in (0.25, 0.5, 1.0) for buffers in (2, 8))
"""What is tried, beside state that stays."""


def state_to_host(function: FuncOp, placement: Placement, link: Link) -> int:
    """Split the fused optimizers of a flat step and let their state live on the host; how many bytes do.

    State that moves becomes an argument of type `!host.copy`. The first chunks are fetched in the backward,
    so early that they are there when the update begins; each further one once an earlier one is stored.
    """
    moved = 0
    for op in [op for op in function.body.block.ops if isinstance(op, TorchOp)]:
        update = _Update.of(op, function)
        if update:
            moved += update.move(placement, link)
    function.update_function_type()
    return moved


@dataclass(frozen=True, slots=True)
class _Update:
    """A fused optimizer: its op, and by parameter the state that may move."""

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

    def move(self, placement: Placement, link: Link) -> int:
        """Put the chunks in the place of the op; the bytes that live on the host from now on."""
        chunks = self._cut(placement.share)
        phases = [text_attribute(op, PHASE) for op in _before(self.op)]
        if not chunks or "backward" not in phases:
            return 0
        kept = range(chunks[0].start)
        moved = [[state for index in chunk for state in self.states[index]] for chunk in chunks]
        size = sum(map(_bytes, (state for chunk in moved for state in chunk)))
        if kept:
            _put(self._part(kept, {}), self.op)
        hosted = [[_to_host(state) for state in chunk] for chunk in moved]
        early = min(placement.buffers, len(chunks))
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
        """Ranges of consecutive parameters, from the first whose state moves to the last parameter."""
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
        """The optimizer of some parameters: of each list, as many as there are parameters, a part."""

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
    """The last op that starts so long before the update; the first of the backward if none does."""
    found = update
    before = list(_before(update))
    turn = max(index for index, op in enumerate(before) if text_attribute(op, PHASE) == "backward")
    for op in before[: turn + 1]:
        if ahead_us <= 0:
            break
        latency = op.attributes.get(LATENCY)
        ahead_us -= latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0
        found = op
    return found
