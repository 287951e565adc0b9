"""What a kernel makes of the placements of its operands, from its work."""

from collections.abc import Mapping

from steelyard.compiler.analysis.op_facts import to_call
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.passes.sharding.factor_sharding import Cut, cut_by, placed_by, require_divisible_work
from steelyard.passes.sharding.placement import PARTIAL, WHOLE, Placement, ShardingError

_LOSSES = ("nll_loss_forward", "nll_loss2d_forward", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_TARGETED = ("nll_loss_backward", "nll_loss2d_backward")


def place(op: TorchOp, work: OpWork, operands: list[Placement]) -> list[Placement]:
    """The placements of an op's results, each exactly a block or a term of what the whole op computes.

    Operands are whole or cut, none partial; at least one is cut. The op must be a kernel, not a view. A loss
    that takes a mean is taken for the one that takes a sum. A tensor that is added to a sum over ranks
    (`has_addend`) is taken to be shared out among them.

    Raises:
        CannotPlace: The op needs more than the blocks, or nothing is known of how it uses them.
    """
    require_divisible_work(op, work)
    call = to_call(op)
    name = operator_name(op).split(".")[1]
    if name.endswith("_like"):
        return operands[:1]
    if name in _LOSSES and call.properties.get("reduction", 1):
        _require_batch(call, operands)
        return [PARTIAL] * len(op.results)
    if name in _TARGETED:
        given = {value.name: each for value, each in zip(call.tensors, operands, strict=True)}
        if given["target"].dim != 0 or given["self"].dim != 0:
            raise ShardingError("scores and targets are not both cut along the batch")
        return [Placement(0)]
    return _from_nests(call, work, operands)


def has_addend(work: OpWork, operands: Mapping[str, Placement]) -> bool:
    """Whether a whole tensor is added on chip to what the op computes."""
    return any(
        not space.writes
        and space.flops_per_iteration.flops > 0
        and all(operands.get(access.value, WHOLE) == WHOLE for access in space.reads)
        for space in work.spaces
    )


def _require_batch(call: OpCall, operands: list[Placement]) -> None:
    for value, placement in zip(call.tensors, operands, strict=True):
        if placement.dim != 0 and value.name != "weight" and value.type.numel > 1:
            raise ShardingError(f"{value.name} is not cut along its dim 0, the batch")


def _from_nests(call: OpCall, work: OpWork, operands: list[Placement]) -> list[Placement]:
    placed = {value.name: each for value, each in zip(call.tensors, operands, strict=True)}
    cuts = _cuts(work, placed)
    touched = {
        dim for space in work.spaces if any(cut.dim in space.dims for cut in cuts) for dim in space.dims
    }
    found: dict[str, Placement] = {}
    for space in work.spaces:
        cut = _cut_of(space, placed, cuts)
        if cut and cut.dim in space.reduction and not space.writes:
            raise ShardingError("it brings together all that lies along the cut dim")
        is_apart = touched.isdisjoint(space.dims)
        for access in space.writes:
            placement = WHOLE if is_apart and space.reads else _written(space, access, cut)
            if placement and found.setdefault(access.value, placement) != placement:
                raise ShardingError(f"its parts leave {access.value} on the ranks in different ways")
    results = [
        found.get(f"result{index}", WHOLE if not result.numel else None)
        for index, result in enumerate(call.results)
    ]
    if None in results:
        raise ShardingError(f"nothing is known of how result {results.index(None)} depends on the blocks")
    known = [each for each in results if each]
    if PARTIAL in known and "beta" not in call.properties and has_addend(work, placed):
        raise ShardingError("what it adds to a sum over ranks would be added by each of them")
    return known


def _cuts(work: OpWork, placed: Mapping[str, Placement]) -> set[Cut]:
    """The iteration dims that are cut; a dim of one name is the same in all nests."""
    return {
        cut_by(space, access, placement)
        for space in work.spaces
        for access in space.reads
        if (placement := placed.get(access.value, WHOLE)).is_cut
    }


def _cut_of(space: IterationSpace, placed: Mapping[str, Placement], cuts: set[Cut]) -> Cut | None:
    """The one dim of a nest that is cut; all that it reads must be cut by it alike."""
    found = [cut for cut in cuts if cut.dim in space.dims]
    if len(found) > 1:
        raise ShardingError("its operands are cut along different dims")
    for access in space.reads if found else ():
        if placed.get(access.value, WHOLE) != (placed_by(space, access, found[0]) or WHOLE):
            raise ShardingError(f"{access.value} is not cut like the other operands")
    return found[0] if found else None


def _written(space: IterationSpace, access: IndexingMap, cut: Cut | None) -> Placement | None:
    """The placement of what a nest writes; None if it only fills it with a constant."""
    if cut is None:
        if space.reads:
            raise ShardingError(f"how {access.value} depends on the blocks is not known")
        return None
    placement = placed_by(space, access, cut)
    if cut.dim in space.reduction:
        if space.combine != "sum" or placement:
            raise ShardingError("it brings together all that lies along the cut dim, and not by a sum")
        return PARTIAL
    if placement is None:
        raise ShardingError(f"a block of the operands does not make a block of {access.value}")
    return placement
