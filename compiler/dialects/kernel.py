"""The `kernel` dialect: ops that run as one kernel."""

from collections.abc import Sequence

from xdsl.ir import Attribute, Dialect, Region, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    irdl_op_definition,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import IsolatedFromAbove, IsTerminator, SingleBlockImplicitTerminator


@irdl_op_definition
class YieldOp(IRDLOperation):
    """`kernel.yield`: the results of a fused kernel."""

    name = "kernel.yield"
    values = var_operand_def(AnyAttr())
    traits = traits_def(IsTerminator())

    def __init__(self, values: Sequence[SSAValue] = ()):
        super().__init__(operands=[values])


@irdl_op_definition
class FusedOp(IRDLOperation):
    """One kernel that does the work of the ops in its region; what they pass on stays inside it.

    Made by the pass fuse, priced as one launch that reads its operands and writes its results, run through
    TorchInductor.
    """

    name = "kernel.fused"
    inputs = var_operand_def(AnyAttr())
    outputs = var_result_def(AnyAttr())
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), SingleBlockImplicitTerminator(YieldOp))

    def __init__(self, inputs: Sequence[SSAValue], outputs: Sequence[Attribute], body: Region):
        super().__init__(operands=[inputs], result_types=[outputs], regions=[body])


def get_kernel() -> Dialect:
    """The dialect of fused kernels."""
    return Dialect("kernel", [FusedOp, YieldOp])
