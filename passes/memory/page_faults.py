"""Which ops of a step on a CPU write to pages that the operating system has to supply first."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from xdsl.ir import Operation

from steelyard.compiler.analysis.allocation_trace import Allocation, allocations
from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.op_facts import OpInfoCache, size_bytes
from steelyard.compiler.analysis.op_signature import op_signature
from steelyard.compiler.dialects.program import PHASE, ROLE, argument_texts, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.passes.memory.eager_malloc import EagerHeap

_FIRST_STEPS, _STEPS = 2, 4


def fresh_bytes(program: Analyses, workspace: Callable[[Operation], int]) -> Mapping[Operation, float]:
    """Return the bytes of fresh pages that each op gets in a step, on average over four after two others.

    The allocations of the steps are played through a heap that starts empty, since what models are made of
    was mapped before; what a step returns is dropped after it. An op that runs many times gets the sum.

    Args:
        program: Its analyses.
        workspace: Bytes that the kernel of an op takes while it runs.

    Raises:
        IRError: The module is no program, or its types cannot be read.
    """
    events = [*allocations(program)]
    turns = [*_turns(events, workspace)]
    heap = EagerHeap(trains=any(turn.phase == "backward" for turn in turns))
    roles = argument_texts(program.call_graph.entry, ROLE)
    for event in events:
        if not event.at and roles[event.storage] == "optimizer_state":  # made with a gradient as large
            heap.free(heap.tensor(event.bytes, "optimizer"))
    found = Counter[Operation]()
    for step in range(_FIRST_STEPS + _STEPS):
        alive = dict[int, list[int]]()
        for turn in turns:
            before = heap.fresh_bytes
            heap.begin(turn.phase)
            if step == 0 and turn.starts_engine:
                heap.keep_engine()
            for event in turn.events:
                if event.bytes > 0:
                    alive[event.storage] = turn.make(heap, event, is_first_step=step == 0)
                elif event.storage in alive:
                    heap.free(alive.pop(event.storage))
            if step >= _FIRST_STEPS:
                found[turn.op] += heap.fresh_bytes - before
        for chunks in alive.values():
            heap.free(chunks)
        heap.end_step()
    return {op: fresh / _STEPS for op, fresh in found.items() if fresh}


@dataclass(frozen=True, slots=True)
class _Turn:
    """An op each time that it runs and makes or frees something."""

    op: Operation
    phase: str
    events: list[Allocation]
    scratch_bytes: int
    is_new: bool
    """Whether oneDNN has met no such kernel before in a step."""
    starts_engine: bool

    def make(self, heap: EagerHeap, result: Allocation, *, is_first_step: bool) -> list[int]:
        """Make a result. What a kernel takes for itself are copies of the result and of its operands."""
        if not self.scratch_bytes:
            return heap.tensor(result.bytes, self.phase)
        copy_bytes = min(self.scratch_bytes, result.bytes)
        rest_bytes = self.scratch_bytes - copy_bytes
        ends = accumulate((size_bytes(operand.type) for operand in self.op.operands), initial=0)
        operands = [stop - start for start, stop in pairwise(min(end, rest_bytes) for end in ends)]
        if result is [event for event in self.events if event.bytes > 0][-1]:  # one kernel may need more
            operands.append(rest_bytes - sum(operands))
        is_new = self.is_new and is_first_step
        return heap.converted(result.bytes, self.phase, operands, copy_bytes, is_new=is_new)


def _turns(events: list[Allocation], workspace: Callable[[Operation], int]) -> Iterator[_Turn]:
    reader, known, is_backward = OpInfoCache(), set[str](), False
    for at, group in groupby(events, lambda event: event.at):
        if not at:
            continue
        op, phase = at[-1], text_attribute(at[-1], PHASE)
        scratch_bytes = workspace(op) if isinstance(op, TorchOp) else 0
        is_new = False
        if isinstance(op, TorchOp) and scratch_bytes:
            signature = op_signature(op, reader)
            is_new = signature not in known
            known.add(signature)
        starts_engine = phase == "backward" and not is_backward
        is_backward = is_backward or starts_engine
        yield _Turn(op, phase, [e for e in group if e.bytes], scratch_bytes, is_new, starts_engine)
