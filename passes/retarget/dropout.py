"""Dropout as one kernel, as `torch.nn.functional.dropout` runs on a GPU."""

from typing import cast

from xdsl.dialects.builtin import TensorType, i1
from xdsl.ir import Attribute, Block, Operation, SSAValue

from steelyard.compiler.dialects.program import PHASE, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.pass_infra.build_op import call_like

_CHAIN = ("aten.div_.Scalar", "aten.bernoulli_.float", "aten.empty_like")
"""The mask on a CPU, from its last op: numbers that are 0, or 1 over the chance to stay."""


def fuse_dropout(block: Block) -> None:
    """Make one kernel of each dropout of a block, and one of its gradient.

    A CPU fills a mask of the input's type and multiplies by it. A GPU draws and multiplies in one kernel,
    which keeps a byte for each element (aten/src/ATen/native/Dropout.cpp, `is_fused_kernel_acceptable`). A
    mask that anything but products reads is left alone.
    """
    place = {op: index for index, op in enumerate(block.ops)}
    for op in place:
        if op.name != _CHAIN[0] or (chain := _chain(op)) is None:
            continue
        found = (use.operation for each in chain for use in each.results[0].uses)
        users = sorted((user for user in found if user not in chain), key=place.__getitem__)
        products = [user for user in users if not isinstance(user, DropOp)]
        source = chain[-1].operands[0]
        if all(user.name == "aten.mul.Tensor" for user in products) and _multiplies(products, source):
            _fuse(chain, products, [user for user in users if isinstance(user, DropOp)])


def _chain(last: Operation) -> list[TorchOp] | None:
    found: list[TorchOp] = []
    op: Operation | Block | None = last
    for name in _CHAIN:
        if not isinstance(op, TorchOp) or op.name != name:
            return None
        found.append(op)
        op = op.operands[0].owner
    return found


def _multiplies(products: list[Operation], source: SSAValue) -> bool:
    """Whether the first product is that of the forward."""
    if not products or text_attribute(products[0], PHASE) == "backward":
        return False
    return source in products[0].operands


def _fuse(chain: list[TorchOp], products: list[Operation], drops: list[DropOp]) -> None:
    keep = cast(float, chain[1].arguments()["p"])
    source, scaled = chain[-1].operands[0], chain[0].results[0]
    shape = cast("TensorType[Attribute]", source.type).get_shape()
    out, mask = call_like(
        products[0],
        "aten.native_dropout",
        {"input": source, "p": round(1 - keep, 12), "train": True},
        [products[0].results[0].type, TensorType(i1, shape)],
    )
    products[0].results[0].replace_all_uses_with(out)
    for product in products[1:]:
        gradient = next(each for each in product.operands if each is not scaled)
        arguments = {"grad_output": gradient, "mask": mask, "scale": 1 / keep}
        type_ = product.results[0].type
        (result,) = call_like(product, "aten.native_dropout_backward", arguments, [type_])
        product.results[0].replace_all_uses_with(result)
    for drop in drops[1:]:
        drop.detach()
        drop.erase()
    for drop in drops[:1]:
        drop.operands[0] = mask
    for op in (*reversed(products), *chain):
        op.detach()
        op.erase()
