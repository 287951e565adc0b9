"""The kernels of a program: the ops that run, a fused kernel as one."""

from collections.abc import Iterator, Sequence

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.dialects.kernel import FusedOp, YieldOp
from steelyard.compiler.dialects.torch_op import TorchOp


def kernels(function: FuncOp) -> Iterator[TorchOp | FusedOp]:
    """The ops of a function that run, in order; what is inside a fused kernel is part of it."""
    for op in function.body.block.ops:
        if isinstance(op, TorchOp | FusedOp):
            yield op


def members(kernel: FusedOp) -> Iterator[Operation]:
    """The ops inside a fused kernel."""
    return (op for op in kernel.body.block.ops if not isinstance(op, YieldOp))


def yielded(kernel: FusedOp) -> Sequence[SSAValue]:
    """The values inside a fused kernel that are its results."""
    last = kernel.body.block.last_op
    return list(last.operands) if last else []
