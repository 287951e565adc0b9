"""How a value lies on the ranks of a mesh axis, and what an op makes of the placements of its operands."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.op_call import to_call
from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.nest import Access, Nest
from steelyard.compiler.semantics.work import Work


@dataclass(frozen=True, slots=True)
class Placement:
    """What each rank holds of a value: all of it, its block along `dim`, or a term of its sum over ranks.

    Attributes:
        dim: The tensor dim that is cut into equal blocks, in the order of ranks; -1 if none is.
        partial: Whether the value is the sum of what the ranks hold.
    """

    dim: int = -1
    partial: bool = False


WHOLE = Placement()
PARTIAL = Placement(partial=True)


class CannotPlace(Exception):
    """The op cannot be done on blocks; the text says why."""


# Of these the rule of work names the dims of some tensors apart, though all share their first dim, the batch.
_BATCHED = "scaled_dot_product"
_LOSSES = ("nll_loss_forward", "nll_loss2d_forward", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
# These look at the place of an element in its tensor.
_POSITIONAL = ("tril", "triu", "roll", "flip", "rot90", "transpose_copy", "t_copy")
_TARGETED = ("nll_loss_backward", "nll_loss2d_backward")


def place(op: TorchOp, work: Work, operands: list[Placement]) -> list[Placement]:
    """The placements of an op's results, each exactly a block or a term of what the whole op computes.

    Operands are whole or cut, none partial; at least one is cut. The op must be a kernel, not a view. A loss
    that takes a mean is taken for the one that takes a sum.

    Raises:
        CannotPlace: The op needs more than the blocks, or nothing is known of how it uses them.
    """
    call = to_call(op)
    name = operator_name(op).split(".")[1]
    if work.kind == "random":
        raise CannotPlace("every rank would draw the same random numbers, or other ones than one process")
    if name.rstrip("_") in _POSITIONAL or "as_strided" in name:
        raise CannotPlace("it depends on where an element lies in the whole tensor")
    if name.endswith("_like"):
        return operands[:1]
    if _BATCHED in name:
        return _batched(call, operands)
    if name in _LOSSES and call.properties.get("reduction", 1):
        _require_cut(call, operands, 0)
        return [PARTIAL] * len(op.results)
    if name in _TARGETED:
        given = {value.name: each for value, each in zip(call.tensors, operands, strict=True)}
        if given["target"].dim != 0 or given["self"].dim != 0:
            raise CannotPlace("scores and targets are not both cut along the batch")
        return [Placement(0)]
    return _from_nests(call, work, operands)


def _batched(call: OpCall, operands: list[Placement]) -> list[Placement]:
    _require_cut(call, operands, 0)
    batch = call.results[0].shape[0]
    if any(each.numel and each.shape[:1] != (batch,) for each in call.results):
        raise CannotPlace("not all of its results are cut along the batch")
    return [Placement(0) if each.numel else WHOLE for each in call.results]


def _require_cut(call: OpCall, operands: list[Placement], dim: int) -> None:
    for value, placement in zip(call.tensors, operands, strict=True):
        size = value.type.shape[dim] if value.type.shape else 1
        broadcast = value.name in ("weight", "attn_mask", "attn_bias") and (
            value.name == "weight" or size == 1
        )
        if placement.dim != dim and not (broadcast or value.type.numel <= 1):
            raise CannotPlace(f"{value.name} is not cut along its dim {dim}, the batch")


def _from_nests(call: OpCall, work: Work, operands: list[Placement]) -> list[Placement]:
    placed = {value.name: each for value, each in zip(call.tensors, operands, strict=True)}
    dims = _cut_dims(work, placed)
    found: dict[str, Placement] = {}
    for nest in work.nests:
        cut = _cut_dim(nest, placed, dims)
        if cut in nest.reduction and not nest.writes:
            raise CannotPlace("it brings together all that lies along the cut dim")
        for access in nest.writes:
            placement = _written(nest, access, cut)
            if placement and found.setdefault(access.value, placement) != placement:
                raise CannotPlace(f"its parts leave {access.value} on the ranks in different ways")
    results = [
        found.get(f"result{index}", WHOLE if not result.numel else None)
        for index, result in enumerate(call.results)
    ]
    if None in results:
        raise CannotPlace(f"nothing is known of how result {results.index(None)} depends on the blocks")
    known = [each for each in results if each]
    _refuse_addends(work, placed, known)
    return known


def _cut_dims(work: Work, placed: Mapping[str, Placement]) -> set[str]:
    """The iteration dims that are cut; a dim of one name is the same in all nests."""
    dims: set[str] = set()
    for nest in work.nests:
        for access in nest.reads:
            placement = placed.get(access.value, WHOLE)
            if placement.dim < 0:
                continue
            at = access.dims[placement.dim]
            if not at or prod(nest.dims[each] for each in at) != access.type.shape[placement.dim]:
                raise CannotPlace(f"the data decide where it reads {access.value} along dim {placement.dim}")
            dims.add(at[0])
    return dims


def _cut_dim(nest: Nest, placed: Mapping[str, Placement], dims: set[str]) -> str | None:
    """The one dim of a nest that is cut; all that it reads must be cut by it alike."""
    cut = [dim for dim in nest.dims if dim in dims]
    if len(cut) > 1:
        raise CannotPlace("its operands are cut along different dims")
    for access in nest.reads if cut else ():
        at = _position(access, cut[0])
        if placed.get(access.value, WHOLE).dim != at:
            raise CannotPlace(f"{access.value} is not cut like the other operands")
    return cut[0] if cut else None


def _position(access: Access, dim: str) -> int:
    return next((at for at, dims in enumerate(access.dims) if dim in (dims or ())), -1)


def _written(nest: Nest, access: Access, cut: str | None) -> Placement | None:
    """The placement of what a nest writes; None if it only fills it with a constant."""
    if cut is None:
        if nest.reads:
            raise CannotPlace(f"how {access.value} depends on the blocks is not known")
        return None
    at = _position(access, cut)
    if cut in nest.reduction:
        if nest.combine != "sum" or at >= 0:
            raise CannotPlace("it brings together all that lies along the cut dim, and not by a sum")
        return PARTIAL
    dims = access.dims[at] if at >= 0 else None
    if not dims or dims[0] != cut or prod(nest.dims[each] for each in dims) != access.type.shape[at]:
        raise CannotPlace(f"a block of the operands does not make a block of {access.value}")
    return Placement(at)


def _refuse_addends(work: Work, placed: Mapping[str, Placement], results: list[Placement]) -> None:
    """A tensor that is added to a sum over ranks would be added once by each."""
    if PARTIAL not in results:
        return
    for nest in work.nests:
        on_chip = not nest.writes and nest.per_point.total > 0
        if on_chip and all(placed.get(access.value, WHOLE) == WHOLE for access in nest.reads):
            raise CannotPlace("what it adds to a sum over ranks would be added by each of them")
