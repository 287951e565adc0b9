"""The program of each rank, from where the arguments lie."""

from collections.abc import Mapping, Sequence
from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from steelyard.compiler.analysis.op_facts import size_bytes, tensor_type, to_call, where
from steelyard.compiler.analysis.work_text import work_text
from steelyard.compiler.dialects.cost import LATENCY, MEMORY, WORK
from steelyard.compiler.dialects.cost_spaces import SPACES, SpacesAttr
from steelyard.compiler.dialects.literal import Literal, to_attribute
from steelyard.compiler.dialects.program import OP_PATH, PHASE, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.semantics.iteration_space import Combiner
from steelyard.compiler.semantics.placement import (
    REPLICATE,
    Partial,
    Placement,
    Replicate,
    Shard,
    ShardingError,
)
from steelyard.compiler.semantics.sharding_rule import Sharding
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.passes.sharding.propagation import ShardingRules
from steelyard.passes.sharding.spmd_builder import SpmdBuilder
from steelyard.passes.sharding.strategies import ShardingPlan


def rewrite_for_ranks(function: FuncOp, layout: ShardingPlan, ranks: int) -> Block:
    """The block of the program of each rank; the function is left as it is.

    Args:
        function: The program of one process.
        layout: Where its arguments and constants lie.
        ranks: How many ranks there are.

    Raises:
        IRError: An op cannot be done on what the ranks hold.
    """
    return _Rewriter(function, layout, ranks).rewrite()


class _Rewriter:
    """Goes through the ops once; `_placed` says of each old value how the new one lies."""

    def __init__(self, function: FuncOp, layout: ShardingPlan, ranks: int) -> None:
        self._old = function.body.block
        self._ranks = ranks
        self._batch = layout.batch
        self._constants = layout.constants
        self._rules = ShardingRules()
        self._values: dict[SSAValue, SSAValue] = {}
        self._wholes: dict[SSAValue, SSAValue] = {}
        self._placed: dict[SSAValue, Placement] = dict(zip(self._old.args, layout.placements, strict=True))
        self._block = SpmdBuilder([self._local(v.type, self._placed[v]) for v in self._old.args], ranks)
        for old, new in zip(self._old.args, self._block.arguments, strict=True):
            new.name_hint = old.name_hint
            self._values[old] = new

    def rewrite(self) -> Block:
        """The new block."""
        for op in self._old.ops:
            if isinstance(op, TorchOp):
                self._rewrite(op)
            elif isinstance(op, DropOp):
                self._block.add(DropOp(self._values[op.value]))
            elif isinstance(op, ReturnOp):
                self._block.add(ReturnOp(*[self._whole(value, op) for value in op.arguments]))
            else:
                raise IRError(
                    what=f"{op.name} cannot be sharded",
                    where=text_attribute(op, OP_PATH) or None,
                    fix="run `inline` before, and `fuse` after",
                )
        return self._block.block

    def _rewrite(self, op: TorchOp) -> None:
        try:
            self._place(op)
        except ShardingError as error:
            part = "its part of the batch" if self._batch > 1 else "its part of the weights"
            raise IRError(
                what=f"{operator_name(op)} cannot be done by each rank on {part}",
                where=where(op) or None,
                why=str(error),
                fix="run it on one rank",
            ) from error

    def _place(self, op: TorchOp) -> None:
        work = self._rules.work(op)
        operands = [REPLICATE if value in self._wholes else self._placed[value] for value in op.operands]
        if _has_partial(operands) and not _postpones(op, work, operands):
            placed = zip(op.operands, operands, strict=True)
            self._combine([value for value, each in placed if isinstance(each, Partial)], op)
            operands = [REPLICATE if isinstance(each, Partial) else each for each in operands]
        if op.results and (constant := self._constants.get(op.results[0])):
            self._emit(op, self._rules.of_value(op, op.results[0], constant))
        elif operands == [REPLICATE] and self._repeats_over_batch(op, work):
            self._emit(op, self._rules.of_value(op, op.results[0], Shard(0)))
        elif _has_partial(operands) or all(each == REPLICATE for each in operands):
            self._emit(op, None, operands[0] if _has_partial(operands) else REPLICATE)
        else:
            self._emit_sharded(op, self._rules.place(op, operands))

    def _repeats_over_batch(self, op: TorchOp, work: OpWork | None) -> bool:
        """Whether one row becomes a row for each sample, as in the gradient of a sum over the batch.

        All blocks of it are alike, so each rank makes its own. Behind the forward samples may be flattened.
        """
        if work is None or not work.is_view or not work.spaces or self._batch == 1:
            return False
        (source,), (result, *_) = work.spaces[0].reads, work.spaces[0].writes
        rows = result.type.shape[0] if result.type.shape else 1
        flattened = text_attribute(op, PHASE) == "backward" and rows % self._batch == 0
        is_new = rows > 1 and source.dims.isdisjoint(result.indices[0].dims)
        return is_new and (rows == self._batch or flattened)

    def _emit_sharded(self, op: TorchOp, sharding: Sharding) -> None:
        """Emit an op some of whose operands are sharded; a mean is of all that the ranks have together."""
        call = to_call(op)
        weighted = next(
            (space.mean for space in sharding.work.spaces if space.mean and space.mean.weight), None
        )
        values = dict(zip((each.name for each in call.tensors), op.operands, strict=True))
        values |= {f"result{index}": result for index, result in enumerate(op.results)}
        if weighted and weighted.over.intersection(factor.dim for factor in sharding.factors):
            new = self._emit(op, sharding, arguments=dict(weighted.as_sum))
            weight = self._whole(values[weighted.weight], op)
            self._values[op.results[0]] = self._block.divide(new.results[0], weight, op)
            return
        # Each rank adds its share of what all of them would add.
        scales = {
            each.scale: call.properties[each.scale] / self._ranks for each in sharding.repeated_summands
        }
        if not sharding.divides_mean:
            self._emit(op, sharding, arguments=scales)
            return
        # What is divided is the result, or an operand that it is proportional to, whichever is smaller.
        summands = sharding.work.summands
        factors = [values[name] for name in (summands[0].factors if len(summands) == 1 else ())]
        smallest = min((op.results[0], *factors), key=lambda value: size_bytes(value.type))
        if smallest is op.results[0]:
            new = self._emit(op, sharding, arguments=scales)
            self._values[smallest] = self._block.divide(new.results[0], self._ranks, op)
        else:
            self._emit(
                op,
                sharding,
                arguments=scales,
                given={smallest: self._block.divide(self._values_of(smallest), self._ranks, op)},
            )

    def _emit(
        self,
        op: TorchOp,
        sharding: Sharding | None,
        otherwise: Placement = REPLICATE,
        *,
        arguments: Mapping[str, Literal] | None = None,
        given: Mapping[SSAValue, SSAValue] | None = None,
    ) -> TorchOp:
        """Emit an op for one rank; results that its sharding does not place are placed as `otherwise`."""
        changed = {**(sharding.local_arguments(to_call(op).properties, self._ranks) if sharding else {})}
        changed |= arguments or {}
        kept = {key: v for key, v in op.attributes.items() if key not in (WORK, LATENCY, MEMORY)}
        if sharding and SPACES in kept:
            kept[SPACES] = SpacesAttr(work_text(sharding.local_work(self._ranks)))
        results = [
            sharding.placement(f"result{index}") if sharding else otherwise
            for index in range(len(op.results))
        ]
        new = type(op).create(
            operands=[(given or {}).get(value, self._values_of(value)) for value in op.operands],
            result_types=[self._local(r.type, p) for r, p in zip(op.results, results, strict=True)],
            properties={**op.properties, **{name: to_attribute(value) for name, value in changed.items()}},
            attributes=kept,
        )
        for old, fresh, placement in zip(op.results, new.results, results, strict=True):
            fresh.name_hint = old.name_hint
            self._values[old], self._placed[old] = fresh, placement
        self._block.add(new)
        return new

    def _values_of(self, value: SSAValue) -> SSAValue:
        return self._wholes.get(value, self._values[value])

    def _whole(self, value: SSAValue, user: Operation) -> SSAValue:
        """All of a value on every rank."""
        placement, local = self._placed[value], self._values_of(value)
        if value in self._wholes or isinstance(placement, Replicate):
            return local
        if isinstance(placement, Partial):
            self._combine([value], user)
        else:
            self._wholes[value] = self._block.all_gather(local, placement, user)
        return self._wholes[value]

    def _combine(self, partials: Sequence[SSAValue], user: Operation) -> None:
        """Form whole values over the ranks; those of one element type go together, as all gradients do."""
        messages: dict[tuple[str, Combiner], list[SSAValue]] = {}
        for value in dict.fromkeys(partials):
            found, placement = tensor_type(value.type), self._placed[value]
            combine = placement.combine if isinstance(placement, Partial) else "sum"
            messages.setdefault((found.dtype if found else "", combine), []).append(value)
        for (_, combine), values in messages.items():
            whole = self._block.all_reduce([self._values[value] for value in values], combine, user)
            self._wholes.update(zip(values, whole, strict=True))

    def _local(self, type_: Attribute, placement: Placement) -> Attribute:
        """The type of what one rank holds."""
        if not isinstance(placement, Shard) or not isinstance(type_, TensorType):
            return type_
        shape = placement.block(tuple(type_.get_shape()), self._ranks)
        return TensorType(cast("TensorType[Attribute]", type_).element_type, shape)


def _has_partial(placements: Sequence[Placement]) -> bool:
    return any(isinstance(each, Partial) for each in placements)


def _postpones(op: TorchOp, work: OpWork | None, operands: Sequence[Placement]) -> bool:
    """Whether to combine partial sums after the op, at no more messages: of views, and of sums of several."""
    if work is None or any(each != Partial() for each in operands):
        return False
    return work.is_linear([each.name for each in to_call(op).tensors]) and (work.is_view or len(operands) > 1)
