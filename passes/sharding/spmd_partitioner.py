"""The program of each rank, from where the arguments lie."""

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache, tensor_type, to_call, where
from steelyard.compiler.dialects.cost import LATENCY, MEMORY, WORK
from steelyard.compiler.dialects.literal import Literal, to_attribute
from steelyard.compiler.dialects.program import OP_PATH, PHASE, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import Argument, TorchOp, operator_name
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.passes.sharding.compute_rules import has_addend, place
from steelyard.passes.sharding.local_shapes import local_properties
from steelyard.passes.sharding.placement import PARTIAL, WHOLE, Placement, ShardingError
from steelyard.passes.sharding.spmd_builder import SpmdBuilder
from steelyard.passes.sharding.strategies import ShardingPlan
from steelyard.passes.sharding.view_rules import is_cat_along, place_cat, place_view

_MEAN, _SUM = 1, 2


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
        self._reader = OpInfoCache()
        self._values: dict[SSAValue, SSAValue] = {}
        self._wholes: dict[SSAValue, SSAValue] = {}
        self._placed: dict[SSAValue, Placement] = dict(zip(self._old.args, layout.placements, strict=True))
        self._block = SpmdBuilder([self._cut(v.type, self._placed[v]) for v in self._old.args], ranks)
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
        work = self._reader.read(op).work
        operands = [WHOLE if value in self._wholes else self._placed[value] for value in op.operands]
        if PARTIAL in operands and not _is_linear(op, work, operands):
            partial = zip(op.operands, operands, strict=True)
            self._sum([value for value, each in partial if each == PARTIAL], op)
            operands = [WHOLE if each == PARTIAL else each for each in operands]
        if op.results and op.results[0] in self._constants:
            self._emit(op, [self._constants[op.results[0]]])
        elif operands == [WHOLE] and self._repeats_over_batch(op):
            self._emit(op, [Placement(0)])
        elif PARTIAL in operands or all(each == WHOLE for each in operands):
            self._emit(op, [operands[0] if PARTIAL in operands else WHOLE] * len(op.results))
        elif work is None:
            raise ShardingError("its work is not known: docs/howto/add-an-op.md adds it")
        elif work.is_view:
            self._emit(op, [place_view(op, operands[0])] * len(op.results))
        elif is_cat_along(op, operands[0].dim):
            self._emit(op, [place_cat(op, operands)])
        else:
            self._emit_kernel(op, work, operands, place(op, work, operands))

    def _repeats_over_batch(self, op: TorchOp) -> bool:
        """Whether one row becomes a row for each sample, as in the gradient of a sum over the batch.

        All blocks of it are alike, so each rank makes its own. Behind the forward samples may be flattened.
        """
        if operator_name(op) != "aten.expand":
            return False
        before, after = _shape(op.operands[0]), _shape(op.results[0])
        is_new = len(before) < len(after) or before[:1] == (1,)
        rows = after[0] if after else 1
        flattened = text_attribute(op, PHASE) == "backward" and rows % self._batch == 0
        return is_new and self._batch > 1 and (rows == self._batch or flattened)

    def _emit_kernel(
        self, op: TorchOp, work: OpWork, operands: list[Placement], results: list[Placement]
    ) -> None:
        """Emit an op some of whose operands are cut; a mean is of all that the ranks have together."""
        call = to_call(op)
        name = operator_name(op).split(".")[1]
        is_mean = call.properties.get("reduction") == _MEAN
        named = {value.name: each for value, each in zip(call.tensors, operands, strict=True)}
        if name.endswith("_backward") and is_mean and call.get("total_weight") is None:
            gradient = op.operands[0]
            self._wholes[gradient] = self._divide(self._values_of(gradient), op)
            self._emit(op, results)
            del self._wholes[gradient]
        elif name.startswith("nll_loss") and not name.endswith("_backward") and is_mean:
            new = self._emit(op, results, {"reduction": _SUM})
            weight = self._whole(op.results[1], op)
            self._values[op.results[0]] = self._block.call(
                "aten.div.Tensor", {"self": new.results[0], "other": weight}, new.results[0].type, op
            )
        elif PARTIAL in results and has_addend(work, named):
            # Each rank adds its share of what all of them would add.
            self._emit(op, results, {"beta": call.properties["beta"] / self._ranks})
        else:
            new = self._emit(op, results)
            if PARTIAL in results and (is_mean or name == "mean"):
                self._values[op.results[0]] = self._divide(new.results[0], op)

    def _emit(
        self, op: TorchOp, results: list[Placement], properties: dict[str, Literal] | None = None
    ) -> TorchOp:
        changed = {name: to_attribute(value) for name, value in (properties or {}).items()}
        kept = {key: v for key, v in op.attributes.items() if key not in (WORK, LATENCY, MEMORY)}
        new = type(op).create(
            operands=[self._values_of(value) for value in op.operands],
            result_types=[self._cut(r.type, p) for r, p in zip(op.results, results, strict=True)],
            properties={**op.properties, **local_properties(op, results, self._ranks), **changed},
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
        if value in self._wholes or placement == WHOLE:
            return local
        if placement == PARTIAL:
            self._sum([value], user)
        else:
            self._wholes[value] = self._block.all_gather(local, placement, user)
        return self._wholes[value]

    def _sum(self, terms: Sequence[SSAValue], user: Operation) -> None:
        """Form sums over the ranks; those of one element type go together, as all gradients do."""
        by_type: dict[str, list[SSAValue]] = {}
        for value in dict.fromkeys(terms):
            found = tensor_type(value.type)
            by_type.setdefault(found.dtype if found else "", []).append(value)
        for values in by_type.values():
            sums = self._block.all_reduce([self._values[value] for value in values], user)
            self._wholes.update(zip(values, sums, strict=True))

    def _divide(self, value: SSAValue, like: Operation) -> SSAValue:
        arguments: dict[str, Argument] = {"self": value, "other": self._ranks}
        return self._block.call("aten.div.Scalar", arguments, value.type, like)

    def _cut(self, type_: Attribute, placement: Placement) -> Attribute:
        """The type of what one rank holds."""
        if not placement.is_cut or not isinstance(type_, TensorType):
            return type_
        shape = placement.block(tuple(type_.get_shape()), self._ranks)
        return TensorType(cast("TensorType[Attribute]", type_).element_type, shape)


def _is_linear(op: TorchOp, work: OpWork | None, operands: list[Placement]) -> bool:
    """Whether an op of terms gives the terms of its result."""
    if operator_name(op) in ("aten.add.Tensor", "aten.add_.Tensor"):
        return operands == [PARTIAL] * 2
    return bool(work and work.is_view)


def _shape(value: SSAValue) -> tuple[int, ...]:
    found = tensor_type(value.type)
    return found.shape if found else ()
