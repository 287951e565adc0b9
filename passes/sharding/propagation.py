"""Propagation of placements through one op, from its operands or from any of its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache, to_call
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.semantics.placement import Partial, Placement, Shard, ShardingError
from steelyard.compiler.semantics.sharding_rule import Factor, Sharding, ShardingRule
from steelyard.compiler.semantics.work import OpWork


@dataclass(frozen=True, slots=True)
class Related:
    """The placements of an op's tensors that one of them implies.

    Attributes:
        placements: The tensors that are sharded, the given one included.
        spaces: The iteration spaces of the op's work that are sharded, by index; none of a view.
        flops: Operations of these.
        sums: The results of which ranks hold partial ones.
    """

    placements: tuple[tuple[SSAValue, Shard], ...]
    spaces: frozenset[int] = frozenset()
    flops: int = 0
    sums: tuple[SSAValue, ...] = ()


class ShardingRules:
    """The sharding rules of the ops of one program; each is read once."""

    def __init__(self) -> None:
        self._reader = OpInfoCache()
        self._known: dict[TorchOp, _OpRule] = {}

    def work(self, op: TorchOp) -> OpWork | None:
        """Return the work of an op, None where it is unknown."""
        return self._reader.read(op).work

    def place(self, op: TorchOp, operands: Sequence[Placement]) -> Sharding:
        """Return the sharding of an op whose operands are placed; none is partial.

        Raises:
            ShardingError: The op cannot be done on such blocks.
        """
        return self._rule(op).place(operands)

    def of_value(self, op: TorchOp, value: SSAValue, placement: Shard) -> Sharding:
        """Return the sharding of an op one of whose tensors, an operand or a result, is sharded.

        Raises:
            ShardingError: The op cannot be done on such blocks.
        """
        return self._rule(op).of_value(value, placement)

    def relate(self, op: TorchOp, value: SSAValue, placement: Shard) -> Related:
        """Return the placements of the tensors of an op that follow from that of one of them.

        Raises:
            ShardingError: The op cannot be done on such blocks, or some of its operands have none.
        """
        rule = self._rule(op)
        sharding = rule.of_value(value, placement)
        found = [
            (name, each)
            for name, each in sharding.placements.items()
            if name in rule.values and isinstance(each, Shard)
        ]
        if not sharding.work.is_constant and all(name.startswith("result") for name, _ in found):
            raise ShardingError("nothing that it is made of can be cut")
        spaces = sharding.work.spaces
        sums = (name for name, each in sharding.placements.items() if isinstance(each, Partial))
        return Related(
            tuple((rule.values[name], each) for name, each in found),
            frozenset() if sharding.work.is_view else frozenset(sharding.spaces),
            sum(spaces[index].flops.total for index in sharding.spaces),
            tuple(rule.values[name] for name in sums if name in rule.values),
        )

    def _rule(self, op: TorchOp) -> "_OpRule":
        if op not in self._known:
            work = self.work(op)
            if work is None:
                raise ShardingError("its work is not known: docs/howto/add-an-op.md adds it")
            if work.is_view and not work.spaces:
                raise ShardingError("this view is not known")
            self._known[op] = _OpRule(op, work)
        return self._known[op]


class _OpRule:
    """The sharding rule of an op with the values that its tensors are."""

    def __init__(self, op: TorchOp, work: OpWork) -> None:
        names = [each.name for each in to_call(op).tensors]
        self._rule = ShardingRule(work)
        self._operands = names
        self._names: dict[SSAValue, list[str]] = {}
        # An op may be given one tensor twice.
        for name, value in (
            *zip(names, op.operands, strict=True),
            *((f"result{index}", result) for index, result in enumerate(op.results)),
        ):
            self._names.setdefault(value, []).append(name)
        self.values: Mapping[str, SSAValue] = {
            name: value for value, each in self._names.items() for name in each
        }

    def place(self, operands: Sequence[Placement]) -> Sharding:
        """See `ShardingRules.place`."""
        given = dict(zip(self._operands, operands, strict=True))
        factors: set[Factor] = set()
        for name, placement in given.items():
            if isinstance(placement, Shard):
                factors |= self._rule.factors(name, placement)
        sharding = self._shard(factors)
        for name, placement in given.items():
            if self._rule.indexes(name) and sharding.placement(name) != placement:
                raise ShardingError(f"{name} is not cut like the other operands")
        return sharding

    def of_value(self, value: SSAValue, placement: Shard) -> Sharding:
        """See `ShardingRules.of_value`."""
        factors = [self._rule.factors(name, placement) for name in self._names[value]]
        sharding = self._shard(frozenset[Factor]().union(*factors))
        if not sharding.placements:
            raise ShardingError("nothing is known of how it uses what is cut")
        return sharding

    def _shard(self, factors: set[Factor] | frozenset[Factor]) -> Sharding:
        sharding = self._rule.shard(factors)
        if any(not summand.scale for summand in sharding.repeated_summands):
            raise ShardingError("what it adds to a sum over ranks would be added by each of them")
        return sharding
