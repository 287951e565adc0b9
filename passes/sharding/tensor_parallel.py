"""Tensor parallelism: the weights that can be sharded together, found from the work of the ops.

Cut the dim of a weight that a contraction sums over: ranks then hold terms of the result, and what goes in
must be cut as well. From there the cut spreads both ways, through pointwise ops, views and the heads of
attention: back to the weights whose results are cut (columns), forward to sums over the cut dim (rows), in
forward and backward, to gradients and the optimizer's state. All that is reached is one group. M. Shoeybi et
al., "Megatron-LM", arXiv:1909.08053, section 3, cuts the same by hand: the layers of an MLP, and attention.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.op_facts import size_bytes, tensor_type, to_call, where
from steelyard.compiler.dialects.program import PHASE, ROLE, DropOp, argument_texts, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.placement import Shard, ShardingError
from steelyard.passes.sharding.propagation import Related, ShardingRules


@dataclass(frozen=True, slots=True, eq=False)
class TensorGroup:
    """Values that are cut together.

    Attributes:
        placements: How each lies.
        spaces: The iteration spaces that are sharded: an op and the index of the space in its work.
        flops: Operations of these, which ranks share out.
        exchanged_bytes: Of the sums over ranks.
    """

    placements: dict[SSAValue, Shard]
    spaces: set[tuple[Operation, int]] = field(default_factory=set[tuple[Operation, int]])
    flops: int = 0
    exchanged_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a weight, an argument, of a contraction cannot be cut along the dim that is summed over."""

    op: TorchOp
    weight: SSAValue
    why: str


class TensorParallelFinder:
    """Finds the groups of a program.

    Attributes:
        refusals: What could not be cut, after `groups`.
    """

    def __init__(self, function: FuncOp, ranks: int) -> None:
        self._function = function
        self._ranks = ranks
        self._relations = ShardingRules()
        self._failed: dict[tuple[SSAValue, Shard], str] = {}
        roles = dict(zip(function.body.block.args, argument_texts(function, ROLE), strict=True))
        self._weights = {value for value, role in roles.items() if role == "parameter"}
        self._given = {value for value, role in roles.items() if role in ("input", "target")}
        self.refusals: list[Refusal] = []

    def groups(self) -> Sequence[TensorGroup]:
        """A set of groups that meet in no iteration space; those go first that exchange least for their work.

        A value of the program lies as the groups say, or whole.
        """
        found: list[TensorGroup] = []
        for op, value, placement in self._seeds():
            if any(group.placements.get(value) == placement for group in found):
                continue
            try:
                found.append(self._grow(value, placement))
            except ShardingError as error:
                self.refusals.append(Refusal(op, _origin(value), str(error)))
        found.sort(key=lambda group: group.exchanged_bytes / max(group.flops, 1))
        chosen: list[TensorGroup] = []
        taken: set[tuple[Operation, int]] = set()
        for group in found:
            if taken.isdisjoint(group.spaces):
                chosen.append(group)
                taken |= group.spaces
        return chosen

    def _seeds(self) -> Iterator[tuple[TorchOp, SSAValue, Shard]]:
        """The weights of the forward's contractions, cut along a dim that is summed over."""
        for op in self._function.body.block.ops:
            if not isinstance(op, TorchOp) or text_attribute(op, PHASE) in ("backward", "optimizer"):
                continue
            work = self._relations.work(op)
            if work is None or work.kind not in ("contraction", "convolution"):
                continue
            values = dict(zip((each.name for each in to_call(op).tensors), op.operands, strict=True))
            for access in (access for space in work.spaces for access in space.reads):
                reduced = (dim for space in work.spaces for dim in space.reduction)
                at = next(
                    (i for dim in reduced for i, each in enumerate(access.indices) if each.dims == (dim,)), -1
                )
                if at >= 0 and _origin(values[access.value]) in self._weights:
                    yield op, values[access.value], Shard(at)

    def _grow(self, seed: SSAValue, placement: Shard) -> TensorGroup:
        group = TensorGroup({})
        sums: set[SSAValue] = set()
        queue = [(seed, placement)]
        try:
            self._enter(group, seed, placement)
            flops = 0
            while queue:
                value, placement = queue.pop()
                for op in _around(value):
                    related = self._relate(op, value, placement)
                    new = {(op, index) for index in related.spaces} - group.spaces
                    flops += related.flops if new else 0
                    group.spaces.update(new)
                    sums.update(related.sums)
                    for other, each in related.placements:
                        if self._enter(group, other, each, op):
                            queue.append((other, each))
        except ShardingError as error:
            self._failed.update(dict.fromkeys(group.placements.items(), str(error)))
            raise
        exchanged = sum(size_bytes(value.type) for value in sums)
        return TensorGroup(group.placements, group.spaces, flops, exchanged)

    def _relate(self, op: TorchOp, value: SSAValue, placement: Shard) -> Related:
        try:
            return self._relations.relate(op, value, placement)
        except ShardingError as error:
            raise ShardingError(_at(op, str(error))) from error

    def _enter(
        self, group: TensorGroup, value: SSAValue, placement: Shard, op: TorchOp | None = None
    ) -> bool:
        """Add a value to a group; whether it is new there."""
        known = group.placements.get(value)
        if known is not None:
            if known != placement:
                raise ShardingError(
                    _at(op, f"a value would be cut along dim {known.dim} and dim {placement.dim}")
                )
            return False
        if value in self._given:
            raise ShardingError(_at(op, "an input would be cut, of which every rank has all"))
        if failed := self._failed.get((value, placement)):
            raise ShardingError(failed)
        found = tensor_type(value.type)
        try:
            placement.block(found.shape if found else (), self._ranks)
        except ShardingError as error:
            raise ShardingError(_at(op, str(error))) from error
        group.placements[value] = placement
        return True


def _origin(value: SSAValue) -> SSAValue:
    """The value behind a chain of views and casts."""
    while isinstance(value.owner, TorchOp) and len(value.owner.operands) == 1:
        value = value.owner.operands[0]
    return value


def _around(value: SSAValue) -> Iterator[TorchOp]:
    """The ops that make or use a value.

    Raises:
        ShardingError: One of them is no op of torch.
    """
    owners = [value.owner] if isinstance(value.owner, Operation) else []
    for op in dict.fromkeys([*owners, *(use.operation for use in value.uses)]):
        if isinstance(op, TorchOp):
            yield op
        elif not isinstance(op, DropOp | ReturnOp):
            raise ShardingError(f"{op.name} uses it")


def _at(op: TorchOp | None, why: str) -> str:
    return f"{operator_name(op)} at {where(op)}: {why}" if op and where(op) else why
