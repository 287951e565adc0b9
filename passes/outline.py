"""The pass outline: blocks that are repeated become one function that is called many times."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from steelyard.compiler.call_graph import call_graph
from steelyard.compiler.dialects.cost import MEMORY
from steelyard.compiler.dialects.program import OP_PATH, DropOp, text_attribute
from steelyard.compiler.storage import FunctionStorages, find_storages
from steelyard.passes.remark import Remark, emit
from steelyard.passes.repeats import Run, longest_run

_LEAST_SAVED = 8
_ROTATIONS = 16
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class OutlinePass(ModulePass):
    """Make blocks that repeat, such as the layers of a transformer, one function that is called many times.

    Reads the ops of the entry function and their paths. Blocks become one function if they agree in all
    but the numbers in the path that leads to them: ops, types, phases, source lines, how values flow, which
    of their operands they use last and which results are needed after them. So every annotation and total is
    that of the flat program. Writes functions `@block0`, ..., and calls with the `path` of the block, to
    which the paths inside are relative. Removes `cost.memory`, which is not the same inside a function.

        %1 = func.call @block0(%x, %w) {path = "h.0"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    """

    name = "outline"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Outline the blocks of the module's program."""
        graph = call_graph(op)
        entry = graph.entry
        flat = find_storages(graph)[entry.sym_name.data]
        names = (f"block{n}" for n in range(len(flat.ops)))
        for each in flat.ops:
            each.attributes.pop(MEMORY, None)
        groups = _repeated_blocks(flat)
        called: dict[Operation, tuple[_Block, str]] = {}
        for blocks in groups:
            name = next(name for name in names if name not in graph.functions)
            op.body.block.add_op(_make_function(name, blocks[0]))
            called |= {block.ops[0]: (block, name) for block in blocks}
            message = f"{len(blocks)} blocks of {len(blocks[0].ops)} ops, as at {blocks[0].path!r}"
            emit(Remark(self.name, "passed", "func.func", f"@{name}", message))
        renamed: dict[SSAValue, SSAValue] = {}
        for first in flat.ops:
            if first in called:
                _replace(*called[first], renamed)


@dataclass(frozen=True, slots=True)
class _Block:
    """Ops that follow each other: where they are in the module tree, what they need and what they leave."""

    ops: Sequence[Operation]
    path: str
    inputs: tuple[SSAValue, ...]
    outputs: tuple[SSAValue, ...]
    key: Hashable


def _repeated_blocks(flat: FunctionStorages) -> list[list[_Block]]:
    """Groups of equal blocks that do not overlap."""
    seen: dict[Hashable, int] = {}
    kinds = [seen.setdefault(_token(op, index), len(seen)) for index, op in enumerate(flat.ops)]
    tokens = list(kinds)
    groups: dict[Hashable, list[_Block]] = defaultdict(list)
    while (run := longest_run(tokens)) and run.saved >= _LEAST_SAVED:
        for key, blocks in _best_cut(flat, kinds, run).items():
            groups[key] += blocks
        # Nothing is looked for twice in the same place.
        tokens[run.start : run.end] = [-1 - index for index in range(run.start, run.end)]
    return [blocks for blocks in groups.values() if len(blocks) > 1]


def _token(op: Operation, index: int) -> Hashable:
    """What two ops at the same place of two blocks have in common."""
    if op.regions or isinstance(op, CallOp):
        return index
    attributes = [(name, value) for name, value in op.attributes.items() if name not in (OP_PATH, MEMORY)]
    return (
        op.name,
        frozenset(op.properties.items()),
        frozenset(attributes),
        tuple(value.type for value in op.operands),
        tuple(value.type for value in op.results),
        _NUMBER.sub("#", text_attribute(op, OP_PATH)),
    )


def _best_cut(flat: FunctionStorages, kinds: Sequence[int], run: Run) -> dict[Hashable, list[_Block]]:
    """The run cut into blocks where the module changes, so that most of them are equal."""
    last = min(run.start + run.period, run.end - 2 * run.period + 1)
    starts = [
        i for i in range(run.start, last) if i == run.start or _numbers(flat, i - 1) != _numbers(flat, i)
    ]
    cuts = [_cut(flat, kinds, start, run) for start in starts[:_ROTATIONS]]
    return max(cuts, key=lambda cut: sum(len(blocks) - 1 for blocks in cut.values()))


def _numbers(flat: FunctionStorages, index: int) -> list[str]:
    return _NUMBER.findall(text_attribute(flat.ops[index], OP_PATH))


def _cut(flat: FunctionStorages, kinds: Sequence[int], start: int, run: Run) -> dict[Hashable, list[_Block]]:
    groups: dict[Hashable, list[_Block]] = defaultdict(list)
    for first in range(start, run.end - run.period + 1, run.period):
        block = _read_block(flat, kinds, first, first + run.period)
        groups[block.key].append(block)
    return {key: blocks for key, blocks in groups.items() if len(blocks) > 1}


def _read_block(flat: FunctionStorages, kinds: Sequence[int], start: int, end: int) -> _Block:
    ops = flat.ops[start:end]
    inside = set(ops)
    # Where a reference ends is in no module; all other ops without a path are at the root.
    path = _common_path(
        [text_attribute(op, OP_PATH) for op in ops if OP_PATH in op.attributes or not isinstance(op, DropOp)]
    )
    numbers: dict[SSAValue, int] = {}
    inputs: list[SSAValue] = []
    wiring: list[Hashable] = []
    for op, kind in zip(ops, kinds[start:end], strict=True):
        for value in op.operands:
            if value not in numbers:
                numbers[value] = len(numbers)
                inputs.append(value)
            wiring.append(numbers[value])
        for result in op.results:
            numbers[result] = len(numbers)
        wiring.append((kind, text_attribute(op, OP_PATH)[len(path) :]))
    made = [result for op in ops for result in op.results]
    outputs = tuple(r for r in made if any(use.operation not in inside for use in r.uses))
    storages = [flat.of[value] for value in inputs]
    ends = tuple(_ending(flat, k, storages.index(k), end) for k in storages)
    key = tuple(wiring), tuple(numbers[value] for value in outputs), ends
    return _Block(ops, path, tuple(inputs), outputs, key)


def _ending(flat: FunctionStorages, storage: int, first: int, end: int) -> tuple[int, int | None]:
    """Which of the inputs share a storage, and the bytes that are freed inside."""
    found = flat.storages[storage]
    return first, found.bytes if found.freed_here and found.last_use < end else None


def _common_path(paths: list[str]) -> str:
    parts = [path.split(".") for path in {*paths}]
    common = parts[0] if parts else []
    for other in parts[1:]:
        same = [a == b for a, b in zip(common, other, strict=False)]
        common = common[: same.index(False) if False in same else len(same)]
    return ".".join(common)


def _make_function(name: str, block: _Block) -> FuncOp:
    body = Block(arg_types=[value.type for value in block.inputs])
    mapping: dict[SSAValue, SSAValue] = dict(zip(block.inputs, body.args, strict=True))
    for op in block.ops:
        copy = op.clone(mapping)
        if OP_PATH in op.attributes:
            path = text_attribute(op, OP_PATH)[len(block.path) :].removeprefix(".")
            copy.attributes[OP_PATH] = StringAttr(path)
        body.add_op(copy)
    body.add_op(ReturnOp(*[mapping[value] for value in block.outputs]))
    kind = FunctionType.from_lists([v.type for v in block.inputs], [v.type for v in block.outputs])
    return FuncOp(name, kind, Region(body), visibility="private")


def _replace(block: _Block, name: str, renamed: dict[SSAValue, SSAValue]) -> None:
    """Call the function in place of a block; `renamed` has the results of the blocks replaced before."""
    parent = block.ops[0].parent
    assert parent is not None
    inputs = [renamed.get(value, value) for value in block.inputs]
    call = CallOp(name, inputs, [value.type for value in block.outputs])
    if block.path:
        call.attributes[OP_PATH] = StringAttr(block.path)
    parent.insert_op_before(call, block.ops[0])
    for old, new in zip(block.outputs, call.results, strict=True):
        old.replace_all_uses_with(new)
        renamed[old] = new
    for op in reversed(block.ops):
        op.detach()
        op.erase()
