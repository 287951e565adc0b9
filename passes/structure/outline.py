"""The pass outline: turn repeated blocks into functions that are called many times."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.storages import FunctionStorages
from steelyard.compiler.blocks.program_block import (
    ProgramBlock,
    make_function,
    read_block,
    replace_by_call,
    token,
)
from steelyard.compiler.blocks.repeats import Run, longest_run
from steelyard.compiler.dialects.program import OP_PATH, text_attribute
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.passes.annotate.program_pass import ProgramPass

_LEAST_SAVED = 8
_ROTATIONS = 16
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class OutlinePass(ProgramPass):
    """Outline repeated blocks, such as the layers of a transformer, into functions.

    Reads the ops of the entry function and their paths. Blocks become one function if they agree in ops,
    types, phases, source lines, def-use edges, last uses of inputs and live results; only the numbers in
    their paths may differ. So annotations and totals equal those of the flat program. Writes functions
    `@block0`, ..., and calls with the `path` of the block, to which the paths inside are relative. Live bytes
    are relative to the entry of a function inside it, and annotated anew.

        %1 = func.call @block0(%x, %w) {path = "h.0"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    """

    name = "outline"
    invalidates = frozenset({"memory"})
    rewrites = True

    def transform(self, program: Analyses) -> None:
        """Outline the blocks of the module's program."""
        graph = program.call_graph
        flat = program.storages[graph.entry.sym_name.data]
        names = (f"block{n}" for n in range(len(flat.ops)))
        groups = _repeated_blocks(flat)
        called: list[tuple[ProgramBlock, str]] = []
        for blocks in groups:
            name = next(name for name in names if name not in graph.functions)
            program.module.body.block.add_op(make_function(name, blocks[0]))
            called += [(block, name) for block in blocks]
            message = f"{len(blocks)} blocks of {len(blocks[0].ops)} ops, as at {blocks[0].path!r}"
            emit(Remark(self.name, "passed", "func.func", f"@{name}", message))
        renamed: dict[SSAValue, SSAValue] = {}
        for block, name in called:
            replace_by_call(block, name, renamed)


def _repeated_blocks(flat: FunctionStorages) -> list[list[ProgramBlock]]:
    """Groups of equal blocks that do not overlap."""
    seen: dict[Hashable, int] = {}
    kinds = [seen.setdefault(token(op, index), len(seen)) for index, op in enumerate(flat.ops)]
    tokens = list(kinds)
    groups: dict[Hashable, list[ProgramBlock]] = defaultdict(list)
    while (run := longest_run(tokens)) and run.saved >= _LEAST_SAVED:
        for key, blocks in _best_cut(flat, kinds, run).items():
            groups[key] += blocks
        # Mask the run, so that the search does not find it again.
        tokens[run.start : run.end] = [-1 - index for index in range(run.start, run.end)]
    return [blocks for blocks in groups.values() if len(blocks) > 1]


def _best_cut(flat: FunctionStorages, kinds: Sequence[int], run: Run) -> dict[Hashable, list[ProgramBlock]]:
    """Cut a run into blocks at a change of module, choosing the cut with the most equal blocks."""
    last = min(run.start + run.period, run.end - 2 * run.period + 1)
    starts = [
        i for i in range(run.start, last) if i == run.start or _numbers(flat, i - 1) != _numbers(flat, i)
    ]
    cuts = [_cut(flat, kinds, start, run) for start in starts[:_ROTATIONS]]
    return max(cuts, key=lambda cut: sum(len(blocks) - 1 for blocks in cut.values()))


def _numbers(flat: FunctionStorages, index: int) -> list[str]:
    return _NUMBER.findall(text_attribute(flat.ops[index], OP_PATH))


def _cut(
    flat: FunctionStorages, kinds: Sequence[int], start: int, run: Run
) -> dict[Hashable, list[ProgramBlock]]:
    groups: dict[Hashable, list[ProgramBlock]] = defaultdict(list)
    for first in range(start, run.end - run.period + 1, run.period):
        block = read_block(flat, kinds, first, first + run.period)
        groups[block.key].append(block)
    return {key: blocks for key, blocks in groups.items() if len(blocks) > 1}
