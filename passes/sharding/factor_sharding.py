"""Cuts of iteration spaces: how a cut of one tensor cuts the space of an op, and that its other tensors."""

from math import prod
from typing import NamedTuple

from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.iteration_space import IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.passes.sharding.placement import Placement, ShardingError

# These look at the place of an element in its tensor.
_POSITIONAL = ("tril", "triu", "roll", "flip", "rot90", "transpose_copy", "t_copy")


class Cut(NamedTuple):
    """An iteration dim of which each rank has a block, in each of so many equal parts."""

    dim: str
    parts: int


def require_divisible_work(op: TorchOp, work: OpWork) -> None:
    """Refuse an op that is more than its work, when it comes to blocks.

    Raises:
        CannotPlace: It draws random numbers, or an element's place in the whole tensor matters.
    """
    name = operator_name(op).split(".")[1]
    if work.kind == "random":
        raise ShardingError("every rank would draw the same random numbers, or other ones than one process")
    if name.rstrip("_") in _POSITIONAL or "as_strided" in name:
        raise ShardingError("it depends on where an element lies in the whole tensor")


def cut_by(space: IterationSpace, access: IndexingMap, placement: Placement) -> Cut:
    """The iteration dim that is cut since a tensor is.

    Raises:
        CannotPlace: The data decide what is accessed along the cut dim, or windows slide over it.
    """
    dims = _outermost(space, access.dims[placement.dim])
    size = access.type.shape[placement.dim]
    if len(dims) == 0 or prod(space.dims[each] for each in dims) != size:
        raise ShardingError(f"the data decide where it reads {access.value} along dim {placement.dim}")
    if placement.parts > 1 and len(dims) > 1:
        raise ShardingError(f"it takes dim {placement.dim} of {access.value} apart, which is cut in parts")
    return Cut(dims[0], placement.parts)


def placed_by(space: IterationSpace, access: IndexingMap, cut: Cut) -> Placement | None:
    """How a tensor lies since an iteration dim is cut; None if it is not indexed by that dim.

    Raises:
        CannotPlace: The tensor is indexed by it, but not in blocks.
    """
    for at, indexed in enumerate(access.dims):
        if cut.dim not in (indexed or ()):
            continue
        dims = _outermost(space, indexed)
        is_whole = prod(space.dims[each] for each in dims) == access.type.shape[at]
        if dims[:1] != (cut.dim,) or not is_whole or (cut.parts > 1 and len(dims) > 1):
            raise ShardingError(f"a block of the operands does not make a block of {access.value}")
        return Placement(at, cut.parts)
    return None


def _outermost(space: IterationSpace, dims: tuple[str, ...] | None) -> tuple[str, ...]:
    """The iteration dims of a tensor dim from the first that has an extent; of 1s only one counts."""
    known: tuple[str, ...] = dims or ()
    return next((known[at:] for at, dim in enumerate(known) if space.dims[dim] > 1), known[:1])
