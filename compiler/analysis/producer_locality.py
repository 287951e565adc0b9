"""Producer locality: operands written by the previous kernel, which are still in cache."""

from xdsl.ir import Block, Operation, SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import TorchOp


def just_written(op: TorchOp, reader: OpInfoCache) -> tuple[SSAValue, ...]:
    """Return the operands of an op that the kernel before it in the block wrote, or views of what it wrote.

    Args:
        op: The op.
        reader: Knows which ops are views.
    """
    before = op.prev_op
    while isinstance(before, TorchOp) and _is_view(before, reader):
        before = before.prev_op
    return tuple(value for value in op.operands if _source(value, reader) is before)


def _source(value: SSAValue, reader: OpInfoCache) -> Operation | Block:
    """Return what writes a value, or is given it."""
    while isinstance(value.owner, TorchOp) and _is_view(value.owner, reader):
        value = value.owner.operands[0]
    return value.owner


def _is_view(op: TorchOp, reader: OpInfoCache) -> bool:
    work = reader.read(op).work
    return work is not None and work.is_view and bool(op.operands)
