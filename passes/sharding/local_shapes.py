"""The arguments of a call that say how large its tensors are, for the block of one rank."""

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, i64
from xdsl.ir import Attribute

from steelyard.compiler.analysis.op_facts import tensor_type, to_call
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.passes.sharding.placement import Placement

_SHAPES = ("size", "shape", "input_sizes")
_PIECES = ("split_size", "split_sizes")
_INFERRED = -1


def local_properties(op: TorchOp, results: Sequence[Placement], ranks: int) -> dict[str, Attribute]:
    """The properties of an op that change when its results are cut.

    Raises:
        CannotPlace: A size has no `ranks` equal blocks.
    """
    if not results or not results[0].is_cut:
        return {}
    found: dict[str, Attribute] = {}
    for name in _SHAPES:
        sizes = op.properties.get(name)
        if isinstance(sizes, ArrayAttr):
            found[name] = _shape(op, [*cast("ArrayAttr[Attribute]", sizes)], results[0], ranks)
    for name in _PIECES:
        sizes = op.properties.get(name)
        if sizes is None or int(to_call(op).properties["dim"]) % _rank(op) != results[0].dim:
            continue
        if isinstance(sizes, IntegerAttr):
            found[name] = IntegerAttr(sizes.value.data // ranks, i64)
        elif isinstance(sizes, ArrayAttr):
            items = [cast(IntegerAttr, each).value.data for each in cast("ArrayAttr[Attribute]", sizes)]
            found[name] = ArrayAttr([IntegerAttr(each // ranks, i64) for each in items])
    return found


def _shape(op: TorchOp, items: list[Attribute], placement: Placement, ranks: int) -> Attribute:
    result = tensor_type(op.results[0].type)
    assert result is not None
    if items[placement.dim] != IntegerAttr(_INFERRED, i64):
        items[placement.dim] = IntegerAttr(placement.block(result.shape, ranks)[placement.dim], i64)
    return ArrayAttr(items)


def _rank(op: TorchOp) -> int:
    result = tensor_type(op.results[0].type)
    return max(len(result.shape), 1) if result else 1
