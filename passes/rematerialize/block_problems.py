"""Partition of the forward into blocks (layers and the ops between), each a problem of its own."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from steelyard.compiler.blocks.repeats import longest_run
from steelyard.compiler.dialects.cost import LATENCY, MEMORY
from steelyard.compiler.dialects.program import OP_PATH
from steelyard.passes.rematerialize.activation_graph import ActivationGraph, Read
from steelyard.passes.rematerialize.block_solutions import BlockProblem, LocalRead
from steelyard.passes.rematerialize.offload_timetable import Link

_LEAST_REPEATED = 8
_SHORTEST, _LONGEST = 16, 64
"""Range of ops in a block that is not a repeated layer: about one layer's worth, cheap to recompute."""

_INTENSIVE = ("contraction", "convolution", "depthwise_convolution", "attention")


@dataclass(frozen=True, slots=True)
class RematBlock:
    """A block and its rematerialization problem.

    Attributes:
        ops: Its ops.
        problem: The problem, in local indices.
        storages: The program's storage behind each local index.
    """

    ops: range
    problem: BlockProblem
    storages: tuple[int, ...]


def partition_forward(graph: ActivationGraph) -> list[range]:
    """Consecutive ranges of ops that cover the forward.

    Each repeated layer is a block; other ops are split into blocks of about a layer's size. All boundaries
    are where the fewest bytes cross.
    """
    crossing = _crossing_bytes(graph)
    layers: list[range] = []
    for start, end, period in _runs(graph):
        offsets = range(start, min(start + period, end - period + 1))
        first = min(offsets, key=lambda offset: (fmean(crossing[offset : end + 1 : period]), offset))
        layers += [range(each, each + period) for each in range(first, end - period + 1, period)]
    blocks: list[range] = []
    forward_end = graph.first_backward_op
    for layer in [*sorted(layers, key=lambda layer: layer.start), range(forward_end, forward_end)]:
        start = blocks[-1].stop if blocks else 0
        blocks += [*_cut_gap(crossing, start, layer.start), layer]
    return [block for block in blocks if block]


def border_activations(graph: ActivationGraph, blocks: Sequence[range]) -> frozenset[int]:
    """The border activations: made in one block and read by the forward of another."""
    block_of = [number for number, block in enumerate(blocks) for _ in block]
    found = set[int]()
    activations = set(graph.activations)
    for index in range(graph.first_backward_op):
        for read in graph.reads[index]:
            if read.storage in activations:
                made = block_of[graph.storages[read.storage].born]
                if made != block_of[index]:
                    found.add(read.storage)
    return frozenset(found)


def block_problem(
    graph: ActivationGraph,
    ops: range,
    borders: frozenset[int],
    wanted: Mapping[int, Sequence[Read]],
    link: Link | None,
) -> RematBlock:
    """Extract the problem of a block.

    Args:
        graph: The program.
        ops: The ops of the block.
        borders: The activations between blocks, which are saved; see `border_activations`.
        wanted: By op, the values it makes that the backward reads.
        link: The link to the host, if storages may be offloaded.
    """
    numbers: dict[int, int] = {}

    def local(read: Read) -> LocalRead | None:
        storage = graph.storages[read.storage]
        inside = storage.born in ops
        if (
            read.maker < 0
            or storage.born < 0
            or not storage.freed_here
            or (read.storage in borders and not inside)
        ):
            return None
        return LocalRead(
            read.maker - ops.start if read.maker in ops and inside else None,
            numbers.setdefault(read.storage, len(numbers)),
        )

    reads = [tuple(each for read in graph.reads[index] if (each := local(read))) for index in ops]
    asked = [each for index in ops for read in wanted.get(index, ()) if (each := local(read))]
    for index in ops:
        for storage in graph.born[index]:
            if storage in borders:
                numbers.setdefault(storage, len(numbers))
    storages = tuple(numbers)
    sizes = [graph.storages[storage].bytes for storage in storages]
    makers = [graph.storages[storage].born for storage in storages]
    problem = BlockProblem(
        cost_us=tuple(graph.cost_us[index] for index in ops),
        recomputable=tuple(graph.recomputable[index] for index in ops),
        intensive=tuple(graph.kinds[index] in _INTENSIVE for index in ops),
        reads=tuple(reads),
        sizes=tuple(sizes),
        makers=tuple(born - ops.start if born in ops else None for born in makers),
        required=frozenset(
            number
            for storage, number in numbers.items()
            if storage in borders and graph.storages[storage].born in ops
        ),
        mutated=frozenset(number for storage, number in numbers.items() if storage in graph.mutated),
        wanted=tuple(asked),
        copy_us=tuple(map(link.copy_us, sizes)) if link else (),
    )
    return RematBlock(ops, problem, storages)


def _crossing_bytes(graph: ActivationGraph) -> list[int]:
    """For each op, the bytes made before it that the forward reads at it or later."""
    last = dict[int, int]()
    for index in range(graph.first_backward_op):
        for read in graph.reads[index]:
            last[read.storage] = index
    change = [0] * (graph.first_backward_op + 2)
    for number, storage in enumerate(graph.storages):
        if 0 <= storage.born < graph.first_backward_op and last.get(number, -1) > storage.born:
            change[storage.born + 1] += storage.bytes
            change[last[number] + 1] -= storage.bytes
    return [*accumulate(change)]


def _runs(graph: ActivationGraph) -> list[tuple[int, int, int]]:
    """Start, end and period of back-to-back repetitions, the longest first."""
    seen: dict[Hashable, int] = {}
    tokens = [seen.setdefault(_token(graph, index), len(seen)) for index in range(graph.first_backward_op)]
    found: list[tuple[int, int, int]] = []
    while (run := longest_run(tokens)) and run.saved >= _LEAST_REPEATED:
        found.append((run.start, run.end, run.period))
        tokens[run.start : run.end] = [-1 - index for index in range(run.start, run.end)]
    return found


def _token(graph: ActivationGraph, index: int) -> Hashable:
    op = graph.ops[index]
    own = (OP_PATH, MEMORY, LATENCY)
    return (
        op.name,
        frozenset(op.properties.items()),
        frozenset((name, value) for name, value in op.attributes.items() if name not in own),
        tuple(value.type for value in op.operands),
        tuple(value.type for value in op.results),
    )


def _cut_gap(crossing: list[int], start: int, end: int) -> Iterator[range]:
    while end - start > _LONGEST:
        window = range(start + _SHORTEST, min(start + _LONGEST, end - 1) + 1)
        cut = min(window, key=lambda index: (crossing[index], -index))
        yield range(start, cut)
        start = cut
    yield range(start, end)
