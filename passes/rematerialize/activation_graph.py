"""Saved activations: their readers, recomputability and recomputation cost."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.memory_effects import written_values
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.storages import FunctionStorages, Storage
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyAttr, WorkAttr
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import PHASE, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.passes.rematerialize.recomputable import is_recomputable


class Read(NamedTuple):
    """A value that an op reads: the index of its producer (-1: an argument) and of its storage."""

    maker: int
    storage: int


@dataclass(frozen=True, slots=True)
class ActivationGraph:
    """Ops and storages of a flat program, by index.

    Attributes:
        ops: The ops.
        first_backward_op: Index of the first op of the backward; the number of ops where there is none.
        storages: The storages.
        storage_of: The storage of each value.
        reads: The values that each op reads, each once; empty for drops.
        born: The storages that each op creates.
        ended: The storage that each drop releases, None for other ops.
        kinds: The kind of work of each op, "" if unknown.
        in_loss: Whether each op belongs to the loss.
        cost_us: Latency of each op.
        workspace_bytes: Memory that each op takes while it runs, beside operands and results.
        recomputable: Whether running an op again in the backward gives the same values without side effects.
        mutated: Storages that are written after their creation, so that recomputation cannot restore them.
        backward_reads: Reads of the backward of values made before it, with the reading op.
    """

    ops: list[Operation]
    first_backward_op: int
    storages: list[Storage]
    storage_of: dict[SSAValue, int]
    reads: list[tuple[Read, ...]]
    born: list[list[int]]
    ended: list[int | None]
    kinds: list[str]
    in_loss: list[bool]
    cost_us: list[float]
    workspace_bytes: list[int]
    recomputable: list[bool]
    mutated: frozenset[int]
    backward_reads: list[tuple[int, Read]]

    @property
    def activations(self) -> Iterator[int]:
        """The storages made before the backward and alive when it begins, results excluded."""
        for index, storage in enumerate(self.storages):
            if 0 <= storage.born < self.first_backward_op <= storage.last_use and storage.freed_here:
                yield index

    def is_releasable(self, storage: int) -> bool:
        """Whether a storage is made before the backward and is no result."""
        found = self.storages[storage]
        return found.freed_here and 0 <= found.born < self.first_backward_op

    def bytes_of(self, storages: Iterable[int]) -> int:
        """The sum of the bytes of storages."""
        return sum(self.storages[storage].bytes for storage in storages)


def read_graph(
    flat: FunctionStorages, reader: OpInfoCache, workspace: Callable[[Operation], int]
) -> ActivationGraph:
    """Build the graph of a program's only function, whose ops have `cost.work` and `cost.latency`."""
    ops = flat.ops
    index_of = {op: index for index, op in enumerate(ops)}
    phases = [text_attribute(op, PHASE) for op in ops]
    first_backward_op = phases.index("backward") if "backward" in phases else len(ops)
    end = max((k for k, phase in enumerate(phases) if phase == "backward"), default=len(ops) - 1)
    written_at = _written_at(flat, reader, end)
    born: list[list[int]] = [[] for _ in ops]
    for number, storage in enumerate(flat.storages):
        if storage.born >= 0:
            born[storage.born].append(number)
    reads: list[tuple[Read, ...]] = []
    recomputable: list[bool] = []
    for index, op in enumerate(ops):
        found = dict.fromkeys(Read(_maker(value, index_of), flat.of[value]) for value in op.operands)
        reads.append(() if isinstance(op, DropOp) else tuple(found))
        changed_later = any(time > index for read in found for time in written_at.get(read.storage, ()))
        recomputable.append(not changed_later and _is_priced(op) and is_recomputable(op, reader))
    return ActivationGraph(
        ops=ops,
        first_backward_op=first_backward_op,
        storages=flat.storages,
        storage_of=flat.of,
        reads=reads,
        born=born,
        ended=[flat.of[op.value] if isinstance(op, DropOp) else None for op in ops],
        kinds=[_kind(op) for op in ops],
        in_loss=[phase == "loss" for phase in phases],
        cost_us=[_cost_us(op) for op in ops],
        workspace_bytes=[workspace(op) for op in ops],
        recomputable=recomputable,
        mutated=frozenset(k for k in written_at if flat.storages[k].born >= 0),
        backward_reads=[
            (index, read)
            for index in range(first_backward_op, len(ops))
            for read in reads[index]
            if 0 <= read.maker < first_backward_op
        ],
    )


def _written_at(flat: FunctionStorages, reader: OpInfoCache, end: int) -> dict[int, list[int]]:
    """The ops up to the end of the backward that write each storage after its creation.

    Later ones do not matter: nothing is recomputed after the backward.
    """
    found: dict[int, list[int]] = {}
    for index, op in enumerate(flat.ops[: end + 1]):
        if isinstance(op, TorchOp):
            for value in written_values(op, reader):
                found.setdefault(flat.of[value], []).append(index)
    return found


def _maker(value: SSAValue, index_of: dict[Operation, int]) -> int:
    return index_of[value.owner] if isinstance(value.owner, Operation) else -1


def _is_priced(op: Operation) -> bool:
    return isinstance(op, TorchOp | FusedOp) and isinstance(op.attributes.get(LATENCY), LatencyAttr)


def _kind(op: Operation) -> str:
    work = op.attributes.get(WORK)
    return work.data.kind if isinstance(work, WorkAttr) else ""


def _cost_us(op: Operation) -> float:
    latency = op.attributes.get(LATENCY)
    return latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0
