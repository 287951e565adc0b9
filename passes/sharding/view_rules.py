"""What a view, or a concatenation, makes of a block: which dim of the other side is cut, both ways."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from steelyard.compiler.analysis.op_facts import to_call
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.call import OpCall
from steelyard.passes.sharding.placement import Placement, ShardingError

_SAME = ("detach", "alias", "contiguous", "wait_tensor", "positive", "lift_fresh")
_RESHAPES = (
    "view",
    "_unsafe_view",
    "reshape",
    "_reshape_alias",
    "flatten",
    "unflatten",
    "view_as",
    "unsqueeze",
)
_ORDERS = ("t", "transpose", "permute")
_PIECES = ("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk")
_ALONG = ("slice", "narrow", *_PIECES)


def place_view(op: TorchOp, operand: Placement) -> Placement:
    """The placement of every result of a view whose first operand is cut.

    Raises:
        CannotPlace: A block of the operand is no block of the result, or the view is not known.
    """
    call, name, before, after = _read(op)
    dim, rank = operand.dim, len(before)
    if name in _SAME:
        return operand
    if name in _RESHAPES or _is_squeeze(call):
        return _reshaped(before, after, operand)
    if name == "expand":
        return Placement(dim + len(after) - rank, operand.parts)
    if name in _ORDERS:
        return Placement(_order(name, call.properties, rank).index(dim), operand.parts)
    along = int(call.properties.get("dim", 0)) % max(rank, 1)
    if name in _PIECES and along == dim:
        return Placement(dim, _pieces(operand.parts, [each.shape[dim] for each in call.results]))
    if name in _ALONG and along != dim:
        return operand
    if name == "select" and along != dim:
        return Placement(dim - (along < dim), operand.parts)
    raise _unknown(name, dim)


def source_of_view(op: TorchOp, result: Placement) -> Placement:
    """The placement that the first operand of a view must have for its results to have this one.

    Raises:
        CannotPlace: There is none, or the view is not known.
    """
    call, name, before, after = _read(op)
    dim, rank = result.dim, len(before)
    if name in _SAME:
        return result
    if name in _RESHAPES or _is_squeeze(call):
        return _reshaped(after, before, result)
    if name == "expand":
        at = dim - (len(after) - rank)
        if at < 0 or before[at] != after[dim]:
            raise ShardingError(f"its operand is repeated along dim {dim}")
        return Placement(at, result.parts)
    if name in _ORDERS:
        return Placement(_order(name, call.properties, rank)[dim], result.parts)
    along = int(call.properties.get("dim", 0)) % max(rank, 1)
    if name in _PIECES and along == dim:
        return Placement(dim, result.parts * _equal(each.shape[dim] for each in call.results))
    if name in _ALONG and along != dim:
        return result
    if name == "select":
        return Placement(dim + (along <= dim), result.parts)
    raise _unknown(name, dim)


def is_cat_along(op: TorchOp, dim: int) -> bool:
    """Whether an op lays tensors side by side along a dim."""
    if operator_name(op).split(".")[1] not in ("cat", "concat"):
        return False
    call = to_call(op)
    return int(call.properties.get("dim", 0)) % len(call.results[0].shape) == dim


def place_cat(op: TorchOp, operands: Sequence[Placement]) -> Placement:
    """The placement of tensors that are cut along the dim along which they are laid side by side.

    Raises:
        CannotPlace: They are not all cut there, into equal parts of one size.
    """
    if len(set(operands)) > 1:
        raise ShardingError("not all that it lays side by side is cut alike")
    sizes = [each.type.shape[operands[0].dim] for each in to_call(op).tensors]
    return Placement(operands[0].dim, operands[0].parts * _equal(sizes))


def source_of_cat(op: TorchOp, result: Placement) -> Placement:
    """The placement of each of the tensors that are laid side by side along the dim that is cut.

    Raises:
        CannotPlace: The parts of the result are not those tensors.
    """
    sizes = [each.type.shape[result.dim] for each in to_call(op).tensors]
    return Placement(result.dim, _pieces(result.parts, sizes))


def _read(op: TorchOp) -> tuple[OpCall, str, tuple[int, ...], tuple[int, ...]]:
    call = to_call(op)
    return call, call.name.split(".")[1], next(call.tensors).type.shape, call.results[0].shape


def _is_squeeze(call: OpCall) -> bool:
    """Whether dims that are named go; if none is, a block may lose more dims than the whole."""
    return call.name.split(".")[1] == "squeeze" and "dim" in call.properties


def _unknown(name: str, dim: int) -> ShardingError:
    if name in (*_ALONG, "select"):
        return ShardingError(f"it takes a part of dim {dim}, which is cut")
    return ShardingError("this view is not known")


def _order(name: str, properties: Mapping[str, Any], rank: int) -> list[int]:
    """For each dim of the result the dim of the operand."""
    if name == "permute":
        return [int(each) % rank for each in properties["dims"]]
    order = list(range(rank))
    first, second = (0, rank - 1) if name == "t" else (int(properties["dim0"]), int(properties["dim1"]))
    order[first], order[second] = order[second], order[first]
    return order


def _equal(sizes: Any) -> int:
    """How many pieces there are, all of one size."""
    known = [*sizes]
    if len(set(known)) > 1:
        raise ShardingError(f"its pieces have unequal sizes {known}")
    return len(known)


def _pieces(parts: int, sizes: Sequence[int]) -> int:
    """The parts of each piece of a tensor of so many parts."""
    pieces = _equal(sizes)
    if parts % pieces:
        raise ShardingError(f"it takes {pieces} pieces of a dim that is cut in {parts} parts")
    return parts // pieces


def _reshaped(before: tuple[int, ...], after: tuple[int, ...], placement: Placement) -> Placement:
    """The dim, and its parts, in which the blocks lie; elements keep their order.

    The elements in front of the cut dim, times its parts, say how often the ranks take turns.
    """
    turns = prod(before[: placement.dim]) * placement.parts
    for at in reversed(range(len(after))):
        front = prod(after[:at])
        if turns % front == 0 and after[at] > turns // front and after[at] % (turns // front) == 0:
            return Placement(at, turns // front)
    raise ShardingError(f"dim {placement.dim} of {list(before)} does not begin a dim of {list(after)}")
