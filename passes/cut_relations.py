"""What else of an op is cut when one of its tensors is: the step by which a cut spreads through a program."""

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.ir import SSAValue

from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.op_call import to_call
from steelyard.compiler.semantics.nest import Nest
from steelyard.compiler.semantics.work import Work
from steelyard.passes.iteration_cut import Cut, cut_by, placed_by, require_divisible_work
from steelyard.passes.placement import CannotPlace, Placement
from steelyard.passes.placement_of_kernels import has_addend
from steelyard.passes.placement_of_views import (
    is_cat_along,
    place_cat,
    place_view,
    source_of_cat,
    source_of_view,
)

_CONSTANTS = ("zeros", "ones", "full", "empty")


@dataclass(frozen=True, slots=True)
class Related:
    """How the tensors of an op lie together.

    Attributes:
        placements: Those that are cut, the given one included.
        nests: The nests of the op's work that are cut, by index.
        flops: Operations of these.
        sums: The results of which ranks hold terms.
    """

    placements: tuple[tuple[SSAValue, Placement], ...]
    nests: frozenset[int] = frozenset()
    flops: int = 0
    sums: tuple[SSAValue, ...] = ()


def relate(op: TorchOp, work: Work | None, value: SSAValue, placement: Placement) -> Related:
    """The tensors of an op that are cut when one of them, an operand or a result, is.

    Raises:
        CannotPlace: The op cannot be done on such blocks.
    """
    if work is None:
        raise CannotPlace("its work is not known: docs/howto/add-an-op.md adds it")
    if work.is_view:
        return _view(op, value, placement)
    if is_cat_along(op, placement.dim):
        return _cat(op, value, placement)
    require_divisible_work(op, work)
    if operator_name(op).split(".")[1].endswith("_like"):
        return Related(tuple((each, placement) for each in (*op.operands, *op.results)))
    return _kernel(op, work, value, placement)


def is_constant(op: TorchOp) -> bool:
    """Whether an op makes a tensor of equal elements, of which any block is as good as another."""
    return operator_name(op).split(".")[1].removeprefix("new_") in _CONSTANTS


def _view(op: TorchOp, value: SSAValue, placement: Placement) -> Related:
    source = placement if value is op.operands[0] else source_of_view(op, placement)
    result = place_view(op, source)
    return Related(((op.operands[0], source), *((each, result) for each in op.results)))


def _cat(op: TorchOp, value: SSAValue, placement: Placement) -> Related:
    if value is op.results[0]:
        source = source_of_cat(op, placement)
    else:
        source, placement = placement, place_cat(op, [placement] * len(op.operands))
    return Related((*((each, source) for each in op.operands), (op.results[0], placement)))


def _kernel(op: TorchOp, work: Work, value: SSAValue, placement: Placement) -> Related:
    call = to_call(op)
    if call.properties.get("groups", call.properties.get("group", 1)) != 1:
        raise CannotPlace("its groups would be cut")
    values = dict(zip((each.name for each in call.tensors), op.operands, strict=True))
    values |= {f"result{index}": result for index, result in enumerate(op.results)}
    # An op may be given one tensor twice.
    names = {name for name, each in values.items() if each is value}
    found: dict[str, Placement] = {}
    nests: set[int] = set()
    sums: dict[str, None] = {}
    for cut in set(_cuts(work, names, placement)):
        for index, nest in enumerate(work.nests):
            if cut.dim in nest.dims:
                nests.add(index)
                _spread(nest, cut, found, sums)
    if not found:
        raise CannotPlace("nothing is known of how it uses what is cut")
    if not is_constant(op) and not any(name in found for name in values if not name.startswith("result")):
        raise CannotPlace("nothing that it is made of can be cut")
    if sums and "beta" not in call.properties and has_addend(work, found):
        raise CannotPlace("what it adds to a sum over ranks would be added by each of them")
    return Related(
        tuple((values[name], each) for name, each in found.items() if name in values),
        frozenset(nests),
        sum(work.nests[index].flops.total for index in nests),
        tuple(values[name] for name in sums if name in values),
    )


def _cuts(work: Work, names: set[str], placement: Placement) -> Iterator[Cut]:
    for nest in work.nests:
        for access in (*nest.reads, *nest.writes):
            if access.value in names:
                yield cut_by(nest, access, placement)


def _spread(nest: Nest, cut: Cut, found: dict[str, Placement], sums: dict[str, None]) -> None:
    """Add how the tensors of one nest lie."""
    reduces = cut.dim in nest.reduction
    if reduces and (nest.combine != "sum" or not nest.writes):
        raise CannotPlace("it brings together all that lies along the cut dim")
    for access in (*nest.reads, *nest.writes):
        placement = placed_by(nest, access, cut)
        if placement is None:
            if access in nest.writes and not reduces:
                raise CannotPlace(f"a block of the operands does not make a block of {access.value}")
            if access in nest.writes:
                sums[access.value] = None
            continue
        if found.setdefault(access.value, placement) != placement:
            raise CannotPlace(f"{access.value} would be cut in two ways")
