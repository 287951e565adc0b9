"""Program blocks: structurally identical regions, outlined into functions."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import FunctionType, StringAttr
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

from steelyard.compiler.analysis.storages import FunctionStorages
from steelyard.compiler.dialects.cost import MEMORY
from steelyard.compiler.dialects.program import OP_PATH, DropOp, text_attribute

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, eq=False)
class ProgramBlock:
    """A run of consecutive ops.

    Attributes:
        ops: The ops.
        path: The innermost module path that contains all of them.
        inputs: Values defined before the block and used in it, in the order of first use.
        outputs: Values defined in the block and used after it.
        key: Blocks with equal keys can be one function. They agree in ops, types, phases, source lines,
            def-use edges, last uses of inputs and live results; only numbers in their paths may differ.
    """

    ops: Sequence[Operation]
    path: str
    inputs: tuple[SSAValue, ...]
    outputs: tuple[SSAValue, ...]
    key: Hashable


def token(op: Operation, index: int) -> Hashable:
    """Structural key of an op: equal for corresponding ops of two blocks, `index` for ops without match."""
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


def read_block(flat: FunctionStorages, tokens: Sequence[Hashable], start: int, end: int) -> ProgramBlock:
    """The block of the ops from `start` to `end` (exclusive) of a function.

    Args:
        flat: The function.
        tokens: The structural keys of all its ops.
        start: Index of the first op.
        end: Index after the last op.
    """
    ops = flat.ops[start:end]
    inside = set(ops)
    # Drops belong to no module; all other ops without a path are at the root.
    path = _common_path(
        [text_attribute(op, OP_PATH) for op in ops if OP_PATH in op.attributes or not isinstance(op, DropOp)]
    )
    numbers: dict[SSAValue, int] = {}
    inputs: list[SSAValue] = []
    wiring: list[Hashable] = []
    for op, kind in zip(ops, tokens[start:end], strict=True):
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
    return ProgramBlock(ops, path, tuple(inputs), outputs, key)


def make_function(name: str, block: ProgramBlock) -> FuncOp:
    """A function with copies of the ops of a block; their paths become relative to the block's."""
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


def replace_by_call(block: ProgramBlock, function: str, renamed: dict[SSAValue, SSAValue]) -> CallOp:
    """Replace the ops of a block by a call of a function.

    Args:
        block: A block, read before any replacement.
        function: Name of the function of a block with the same key.
        renamed: Results of blocks replaced earlier, old to new; updated with those of this one.
    """
    parent = block.ops[0].parent
    assert parent is not None
    inputs = [renamed.get(value, value) for value in block.inputs]
    call = CallOp(function, inputs, [value.type for value in block.outputs])
    if block.path:
        call.attributes[OP_PATH] = StringAttr(block.path)
    parent.insert_op_before(call, block.ops[0])
    for old, new in zip(block.outputs, call.results, strict=True):
        old.replace_all_uses_with(new)
        renamed[old] = new
    for op in reversed(block.ops):
        op.detach()
        op.erase()
    return call


def _ending(flat: FunctionStorages, storage: int, first: int, end: int) -> tuple[int, int | None]:
    """The first input with a storage, and the bytes of the storage if it is freed inside the block."""
    found = flat.storages[storage]
    return first, found.bytes if found.freed_here and found.last_use < end else None


def _common_path(paths: list[str]) -> str:
    parts = [path.split(".") for path in {*paths}]
    common = parts[0] if parts else []
    for other in parts[1:]:
        same = [a == b for a, b in zip(common, other, strict=False)]
        common = common[: same.index(False) if False in same else len(same)]
    return ".".join(common)
