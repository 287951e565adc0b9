"""The `host` dialect: tensors that leave the device for the memory of its host, and come back."""

from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Dialect, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    base,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    param_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException


@irdl_attr_definition
class HostType(ParametrizedAttribute, TypeAttribute):
    """`!host.copy<tensor<4xf32>>`: a tensor in the memory of the host, which takes none of the device's."""

    name = "host.copy"
    tensor: Attribute = param_def()


@irdl_op_definition
class OffloadOp(IRDLOperation):
    """`%h = host.offload %x : tensor<4xf32> -> !host.copy<tensor<4xf32>>`: starts a copy to the host.

    Copies out follow each other on a stream of their own, beside the kernels and beside the copies back. The
    device's memory is free once the copy is done: a `program.drop` of the value says where the program waits
    for that.
    """

    name = "host.offload"
    value = operand_def(AnyAttr())
    copy = result_def(base(HostType))
    assembly_format = "$value attr-dict `:` type($value) `->` type($copy)"

    def __init__(self, value: SSAValue):
        super().__init__(operands=[value], result_types=[HostType(value.type)])

    def verify_(self) -> None:
        """The copy is of the value's type."""
        _require_copy_of(self.value.type, self.copy.type)


@irdl_op_definition
class FetchOp(IRDLOperation):
    """`%y = host.fetch %h : !host.copy<tensor<4xf32>> -> tensor<4xf32>`: starts a copy back.

    Copies back follow each other on a stream of their own. The device's memory is taken at once; the first op
    that reads the result waits for the copy. How far ahead of that op it stands is the prefetch distance.
    """

    name = "host.fetch"
    copy = operand_def(base(HostType))
    value = result_def(AnyAttr())
    assembly_format = "$copy attr-dict `:` type($copy) `->` type($value)"

    def __init__(self, copy: SSAValue):
        super().__init__(operands=[copy], result_types=[cast(HostType, copy.type).tensor])

    def verify_(self) -> None:
        """The value is of the copy's type."""
        _require_copy_of(self.value.type, self.copy.type)


@irdl_op_definition
class StoreOp(IRDLOperation):
    """`host.store %x, %h : tensor<4xf32> -> !host.copy<tensor<4xf32>>`: starts a copy over an older one.

    As `host.offload`, but the tensor on the host exists and is overwritten: state that lives there between
    steps is an argument of type `!host.copy`.
    """

    name = "host.store"
    value = operand_def(AnyAttr())
    copy = operand_def(base(HostType))
    assembly_format = "$value `,` $copy attr-dict `:` type($value) `->` type($copy)"

    def __init__(self, value: SSAValue, copy: SSAValue):
        super().__init__(operands=[value, copy])

    def verify_(self) -> None:
        """The copy is of the value's type."""
        _require_copy_of(self.value.type, self.copy.type)


def _require_copy_of(tensor: Attribute, copy: Attribute) -> None:
    if not isinstance(tensor, TensorType) or not isinstance(copy, HostType) or copy.tensor != tensor:
        raise VerifyException(f"a copy of {tensor} on the host has type !host.copy<{tensor}>, not {copy}")


def get_host() -> Dialect:
    """The dialect of copies on the host."""
    return Dialect("host", [OffloadOp, FetchOp, StoreOp], [HostType])
