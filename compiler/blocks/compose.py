"""The program of a model of many equal blocks, from one in which only a few of them have run."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import islice, pairwise

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.storages import FunctionStorages, find_storages
from steelyard.compiler.blocks.block_values import LayersDiffer, block_number
from steelyard.compiler.blocks.extend_chain import LayerCalls
from steelyard.compiler.blocks.program_block import (
    ProgramBlock,
    make_function,
    read_block,
    replace_by_call,
    token,
)
from steelyard.compiler.dialects.program import OP_PATH, DropOp, text_attribute


def instantiate_layers(module: ModuleOp, stacks: Mapping[str, int]) -> None:
    """Add the blocks that have not run, by the example of those that have.

    Of a stack of n blocks those numbered 0, 1, 2, n-2 and n-1 have run. Blocks 1, 2 and n-2 become one
    function for the forward and one for the backward, and calls of them are added for the blocks between,
    which take from their neighbours, and from their own parameters, what block 2 takes from its. Values of
    every block that end up in a list (optimizer, results, drops) are added to it.

    The outcome, inlined, is the program of a capture in which all blocks have run: the code between blocks
    is known to be the same (`frontend/skipping.py`), and here it is checked that block 1, 2 and n-2 are equal
    op by op, and that what block 2 is to 1, n-2 is to 2.

    Args:
        module: A program of one function whose arguments are those of all blocks.
        stacks: How many blocks each stack has, by the path of its list.

    Raises:
        Irregular: They are not; `module` may be changed.
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
    """Blocks 1, 2 and n-2 of the forward, and of the backward if there is one."""
    runs: list[tuple[int, int]] = []
    for index, op in enumerate(flat.ops):
        number = None if isinstance(op, DropOp) else block_number(text_attribute(op, OP_PATH), path)
        if number is not None and (not runs or runs[-1][0] != number):
            runs.append((number, index))
    if not runs:
        return []
    kept = [0, 1, 2, count - 2, count - 1]
    if [number for number, _ in runs] not in (kept, kept + kept[-2::-1]):
        raise LayersDiffer
    starts = [start for _, start in runs]
    ranges = [[*pairwise(starts[1:5])]]
    if len(runs) > len(kept):
        ranges.append([*pairwise(starts[5:9])][::-1])
    passes = [[read_block(flat, tokens, *each) for each in blocks] for blocks in ranges]
    for first, *others in passes:
        if block_number(first.path, path) is None or any(other.key != first.key for other in others):
            raise LayersDiffer
    return passes
