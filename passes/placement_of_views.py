"""What a view makes of a block: which dim of the result is cut."""

from collections.abc import Mapping
from math import prod
from typing import Any

from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.op_call import to_call
from steelyard.passes.placement import CannotPlace, Placement

_SAME = ("detach", "alias", "contiguous", "wait_tensor", "positive", "lift_fresh")
_RESHAPES = ("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten", "view_as")
_ALONG = ("slice", "split", "split_with_sizes", "chunk", "narrow", "unsafe_split")


def place_view(op: TorchOp, operand: Placement) -> Placement:
    """The placement of every result of a view whose first operand is cut.

    Raises:
        CannotPlace: A block of the operand is no block of the result, or the view is not known.
    """
    call = to_call(op)
    name = operator_name(op).split(".")[1]
    before, after = next(call.tensors).type.shape, call.results[0].shape
    rank, dim = len(before), operand.dim
    if name in _SAME:
        return operand
    if name in _RESHAPES:
        return Placement(_reshaped(before, after, dim))
    if name == "expand":
        return Placement(dim + len(after) - rank)
    if name in ("t", "transpose", "permute"):
        return Placement(_order(name, call.properties, rank).index(dim))
    if name == "unsqueeze":
        return Placement(dim + (int(call.properties["dim"]) % (rank + 1) <= dim))
    if name in _ALONG or name == "select":
        along = int(call.properties.get("dim", 0)) % rank
        if along == dim:
            raise CannotPlace(f"it takes a part of dim {dim}, which is cut")
        return Placement(dim - (name == "select" and along < dim))
    raise CannotPlace("this view is not known")


def _order(name: str, properties: Mapping[str, Any], rank: int) -> list[int]:
    """For each dim of the result the dim of the operand."""
    if name == "permute":
        return [int(each) % rank for each in properties["dims"]]
    order = list(range(rank))
    first, second = (0, rank - 1) if name == "t" else (int(properties["dim0"]), int(properties["dim1"]))
    order[first], order[second] = order[second], order[first]
    return order


def _reshaped(before: tuple[int, ...], after: tuple[int, ...], dim: int) -> int:
    """The result's dim of which blocks are those of `dim`: the one with as many elements in front."""
    front = prod(before[:dim])
    for at, size in enumerate(after):
        if prod(after[:at]) == front and size > 1:
            return at
    raise CannotPlace(f"dim {dim} of {list(before)} does not begin a dim of {list(after)}")
