"""Instantiation of repeated layers: the whole program from a capture of a few layers of each stack."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import islice, pairwise

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.storages import FunctionStorages, find_storages
from steelyard.compiler.blocks.extend_chain import LayerCalls
from steelyard.compiler.blocks.layer_values import LayersDiffer, layer_index
from steelyard.compiler.blocks.program_block import (
    ProgramBlock,
    make_function,
    read_block,
    replace_by_call,
    token,
)
from steelyard.compiler.dialects.program import OP_PATH, DropOp, text_attribute


def instantiate_layers(module: ModuleOp, stacks: Mapping[str, int]) -> None:
    """Add the layers that were skipped in the capture, as calls of the function of a captured one.

    Of a stack of n layers, layers 0, 1, 2, n-2 and n-1 were captured. Layers 1, 2 and n-2 become one function
    for the forward and one for the backward. Calls of it are added for layers 3 to n-3; their operands
    are the counterparts of layer 2's: values of neighbouring layers, and their own parameters. Lists with
    values of every layer (optimizer, results, drops) are extended.

    Inlined, the result equals a capture of all layers: the code between layers was checked by
    `frontend/torch/skipping.py`; here layers 1, 2 and n-2 must be equal op by op, and their operands must
    correspond.

    Args:
        module: A program of one function whose arguments are those of all layers.
        stacks: Number of layers of each stack, by the path of its list.

    Raises:
        LayersDiffer: Captured layers differ; `module` may be changed.
    """
    graph = call_graph(module)
    flat = find_storages(graph)[graph.entry.sym_name.data]
    tokens = [token(op, index) for index, op in enumerate(flat.ops)]
    found = [_find_blocks(flat, tokens, path, count) for path, count in stacks.items()]
    blocks = [each for passes in found for each in passes]
    for index, (first, *_) in enumerate(blocks):
        module.body.block.add_op(make_function(f"block{index}", first))
    renamed: dict[SSAValue, SSAValue] = {}
    calls = iter(
        [
            [replace_by_call(each, f"block{index}", renamed) for each in chain]
            for index, chain in enumerate(blocks)
        ]
    )
    for (path, count), passes in zip(stacks.items(), found, strict=True):
        LayerCalls(graph.entry, path, count, [*islice(calls, len(passes))]).lengthen()


def _find_blocks(
    flat: FunctionStorages, tokens: Sequence[Hashable], path: str, count: int
) -> list[list[ProgramBlock]]:
    """Layers 1, 2 and n-2 of the forward, and of the backward if there is one."""
    runs: list[tuple[int, int]] = []
    for index, op in enumerate(flat.ops):
        layer = None if isinstance(op, DropOp) else layer_index(text_attribute(op, OP_PATH), path)
        if layer is not None and (not runs or runs[-1][0] != layer):
            runs.append((layer, index))
    if not runs:
        return []
    captured = [0, 1, 2, count - 2, count - 1]
    if [layer for layer, _ in runs] not in (captured, captured + captured[-2::-1]):
        raise LayersDiffer
    starts = [start for _, start in runs]
    ranges = [[*pairwise(starts[1:5])]]
    if len(runs) > len(captured):
        ranges.append([*pairwise(starts[5:9])][::-1])
    passes = [[read_block(flat, tokens, *each) for each in blocks] for blocks in ranges]
    for first, *others in passes:
        if layer_index(first.path, path) is None or any(other.key != first.key for other in others):
            raise LayersDiffer
    return passes
