"""What else of an op is cut when one of its tensors is: the step by which a cut spreads through a program."""

from collections import defaultdict
from dataclasses import dataclass

from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache, to_call
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.iteration_space import IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.passes.sharding.compute_rules import has_addend
from steelyard.passes.sharding.factor_sharding import Cut, cut_by, placed_by, require_divisible_work
from steelyard.passes.sharding.placement import Placement, ShardingError
from steelyard.passes.sharding.view_rules import (
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
    spaces: frozenset[int] = frozenset()
    flops: int = 0
    sums: tuple[SSAValue, ...] = ()


class ShardingRules:
    """Relates the tensors of the ops of one program; what it read of an op it keeps."""

    def __init__(self) -> None:
        self._reader = OpInfoCache()
        self._kernels: dict[TorchOp, _Kernel] = {}
        self._works: dict[TorchOp, OpWork | None] = {}

    def work(self, op: TorchOp) -> OpWork | None:
        """The work of an op, None where it is unknown."""
        if op not in self._works:
            self._works[op] = self._reader.read(op).work
        return self._works[op]

    def relate(self, op: TorchOp, value: SSAValue, placement: Placement) -> Related:
        """The tensors of an op that are cut when one of them, an operand or a result, is.

        Raises:
            CannotPlace: The op cannot be done on such blocks.
        """
        work = self.work(op)
        if work is None:
            raise ShardingError("its work is not known: docs/howto/add-an-op.md adds it")
        if work.is_view:
            return _view(op, value, placement)
        if is_cat_along(op, placement.dim):
            return _cat(op, value, placement)
        require_divisible_work(op, work)
        if operator_name(op).split(".")[1].endswith("_like"):
            return Related(tuple((each, placement) for each in (*op.operands, *op.results)))
        if op not in self._kernels:
            self._kernels[op] = _Kernel(op, work)
        return self._kernels[op].relate(value, placement)


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


class _Kernel:
    """A kernel with its tensors by name and its nests by dim: an optimizer has thousands."""

    def __init__(self, op: TorchOp, work: OpWork) -> None:
        self._op = op
        self._work = work
        self._properties = to_call(op).properties
        self._values = dict(zip((each.name for each in to_call(op).tensors), op.operands, strict=True))
        self._values |= {f"result{index}": result for index, result in enumerate(op.results)}
        # An op may be given one tensor twice.
        self._accesses: dict[SSAValue, list[tuple[IterationSpace, IndexingMap]]] = defaultdict(list)
        self._nests: dict[str, list[int]] = defaultdict(list)
        for index, space in enumerate(work.spaces):
            for dim in space.dims:
                self._nests[dim].append(index)
            for access in (*space.reads, *space.writes):
                if access.value in self._values:
                    self._accesses[self._values[access.value]].append((space, access))

    def relate(self, value: SSAValue, placement: Placement) -> Related:
        """See `ShardingRules.relate`."""
        if self._properties.get("groups", self._properties.get("group", 1)) != 1:
            raise ShardingError("its groups would be cut")
        cuts = {cut_by(space, access, placement) for space, access in self._accesses[value]}
        spaces = {index: cut for cut in cuts for index in self._nests[cut.dim]}
        if len(spaces) < sum(len(self._nests[cut.dim]) for cut in cuts):
            raise ShardingError("its operands are cut along different dims")
        found: dict[str, Placement] = {}
        sums: dict[str, None] = {}
        for index, cut in spaces.items():
            _spread(self._work.spaces[index], cut, found, sums)
        if not found:
            raise ShardingError("nothing is known of how it uses what is cut")
        if not is_constant(self._op) and all(name.startswith("result") for name in found):
            raise ShardingError("nothing that it is made of can be cut")
        if sums and "beta" not in self._properties and has_addend(self._work, found):
            raise ShardingError("what it adds to a sum over ranks would be added by each of them")
        values = self._values
        return Related(
            tuple((values[name], each) for name, each in found.items() if name in values),
            frozenset(spaces),
            sum(self._work.spaces[index].arithmetic.flops for index in spaces),
            tuple(values[name] for name in sums if name in values),
        )


def _spread(space: IterationSpace, cut: Cut, found: dict[str, Placement], sums: dict[str, None]) -> None:
    """Add how the tensors of one nest lie."""
    reduces = cut.dim in space.reduction
    if reduces and (space.combine != "sum" or not space.writes):
        raise ShardingError("it brings together all that lies along the cut dim")
    for access in (*space.reads, *space.writes):
        placement = placed_by(space, access, cut)
        if placement is None:
            if access in space.writes and not reduces:
                raise ShardingError(f"a block of the operands does not make a block of {access.value}")
            if access in space.writes:
                sums[access.value] = None
            continue
        if found.setdefault(access.value, placement) != placement:
            raise ShardingError(f"{access.value} would be cut in two ways")
