"""The pass shard: one program for all ranks of a mesh, with explicit collectives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FunctionType,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass

from steelyard.compiler.dialects.cost import LATENCY, MEMORY, WORK
from steelyard.compiler.dialects.literal import Literal, to_attribute
from steelyard.compiler.dialects.program import (
    OP_PATH,
    PHASE,
    ROLE,
    DropOp,
    argument_texts,
    entry_function,
    text_attribute,
)
from steelyard.compiler.dialects.schema import schema_of
from steelyard.compiler.dialects.torch_dialects import op_class
from steelyard.compiler.dialects.torch_op import Argument, TorchOp, operator_name
from steelyard.compiler.op_call import CallReader, tensor_type, to_call, where
from steelyard.hw.errors import IRError, UsageError
from steelyard.passes.placement import PARTIAL, WHOLE, CannotPlace, Placement, place
from steelyard.passes.placement_of_views import place_view
from steelyard.passes.totals import TOTALS

MESH, PLAN, SPLIT = "shard.mesh", "shard.plan", "shard.split"
_MEAN, _SUM = 1, 2
_SHAPES = ("size", "shape", "input_sizes")


@dataclass(frozen=True)
class ShardPass(ModulePass):
    """Make the program of each rank of a mesh by data parallelism.

    Reads roles, types and the work of the ops. Inputs and targets are cut along their first dim, the batch;
    parameters, buffers and optimizer state are whole on every rank. From there the work of each op says what
    it makes of blocks. What every rank then holds is exactly a block of the value in the program of one
    process, all of it, or a term of its sum; a sum is formed by an all-reduce where all of it is needed: the
    gradients before the optimizer, the loss, and results. The optimizer's op is left as it is.

    A mean is taken of the whole batch: a loss with targets becomes a sum, divided by the weight of the
    targets on all ranks, so ranks may have unequal counts of ignored targets. Annotations of cost are
    removed.

    Refused, by an error with the op and its source line: what is not a sum along the batch (batch norm in
    training, a sort), random numbers (dropout), a batch that cannot be cut into equal parts, functions that
    are called (`inline` first), fused kernels (`fuse` last).

    Writes on the module `shard.mesh` and `shard.plan` ("data"), on each argument `shard.split`: the dim
    that is cut, or -1.

        steelyard-opt a.mlir -p 'shard{mesh=2}'

    Raises:
        UsageError: the mesh has no rank.
        IRError: an op cannot be done by parts, as above; the module is sharded already.
    """

    name = "shard"

    mesh: int
    """How many ranks there are."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Replace the program by that of each rank."""
        if self.mesh < 1:
            raise UsageError(what=f"a mesh of {self.mesh} ranks", where="shard", why="it needs at least 1")
        if MESH in op.attributes:
            raise IRError(what="the program is sharded already", where=MESH)
        function = entry_function(op)
        placements = _arguments(function, self.mesh)
        block = _Rewriter(function, placements, self.mesh).rewrite()
        _replace(function, block, placements)
        op.attributes.pop(TOTALS, None)
        op.attributes |= {MESH: IntegerAttr(self.mesh, i64), PLAN: StringAttr("data")}


def _arguments(function: FuncOp, ranks: int) -> list[Placement]:
    """Inputs and targets with as many elements along their first dim as the first of them are cut there."""
    roles = argument_texts(function, ROLE)
    shapes = [_shape(value) for value in function.body.block.args]
    given = [shape for role, shape in zip(roles, shapes, strict=True) if role in ("input", "target")]
    batch = given[0][0] if given and given[0] else 1
    if batch % ranks:
        raise IRError(
            what="the batch cannot be cut into equal parts",
            why=f"it has {batch} samples, the mesh {ranks} ranks",
            fix=f"capture it with a --batch that is a multiple of {ranks}",
        )
    return [
        Placement(0) if role in ("input", "target") and shape[:1] == (batch,) else WHOLE
        for role, shape in zip(roles, shapes, strict=True)
    ]


def _shape(value: SSAValue) -> tuple[int, ...]:
    found = tensor_type(value.type)
    return found.shape if found else ()


def _replace(function: FuncOp, block: Block, placements: Sequence[Placement]) -> None:
    function.body.detach_block(function.body.block)
    function.body.add_block(block)
    last = block.last_op
    assert isinstance(last, ReturnOp)
    types = [value.type for value in block.args], [value.type for value in last.arguments]
    function.function_type = FunctionType.from_lists(*types)
    known = function.arg_attrs or ArrayAttr([DictionaryAttr({})] * len(placements))
    function.arg_attrs = ArrayAttr(
        DictionaryAttr({**entry.data, SPLIT: IntegerAttr(placement.dim, i64)})
        for entry, placement in zip(known, placements, strict=True)
    )


class _Rewriter:
    """Builds the block of the program of each rank."""

    def __init__(self, function: FuncOp, placements: Sequence[Placement], ranks: int) -> None:
        self._old = function.body.block
        self._ranks = ranks
        self._reader = CallReader()
        self._values: dict[SSAValue, SSAValue] = {}
        self._sums: dict[SSAValue, SSAValue] = {}
        self._placed: dict[SSAValue, Placement] = dict(zip(self._old.args, placements, strict=True))
        self._batch = next((_shape(v)[0] for v, p in self._placed.items() if p.dim == 0), 1)
        self._block = Block(arg_types=[self._cut(v.type, self._placed[v]) for v in self._old.args])
        for old, new in zip(self._old.args, self._block.args, strict=True):
            new.name_hint = old.name_hint
            self._values[old] = new

    def rewrite(self) -> Block:
        """The new block."""
        for op in self._old.ops:
            if isinstance(op, TorchOp):
                self._rewrite(op)
            elif isinstance(op, DropOp):
                self._block.add_op(DropOp(self._values[op.value]))
            elif isinstance(op, ReturnOp):
                self._block.add_op(ReturnOp(*[self._whole(value, op) for value in op.arguments]))
            else:
                raise IRError(
                    what=f"{op.name} cannot be sharded",
                    where=text_attribute(op, OP_PATH) or None,
                    fix="run `inline` before, and `fuse` after",
                )
        return self._block

    def _rewrite(self, op: TorchOp) -> None:
        try:
            self._place(op)
        except CannotPlace as error:
            raise IRError(
                what=f"{operator_name(op)} cannot be done by each rank on its part of the batch",
                where=where(op) or None,
                why=str(error),
                fix="run it on one rank",
            ) from error

    def _place(self, op: TorchOp) -> None:
        facts = self._reader.read(op)
        operands = [WHOLE if value in self._sums else self._placed[value] for value in op.operands]
        if PARTIAL in operands and not self._is_linear(op, operands):
            for value, placement in zip(op.operands, operands, strict=True):
                if placement == PARTIAL:
                    self._whole(value, op)
            operands = [WHOLE if each == PARTIAL else each for each in operands]
        if operands == [WHOLE] and self._repeats_over_batch(op):
            self._emit(op, [Placement(0)])
        elif PARTIAL in operands or all(each == WHOLE for each in operands):
            self._emit(op, [operands[0] if PARTIAL in operands else WHOLE] * len(op.results))
        elif facts.work is None:
            raise CannotPlace("its work is not known: docs/howto/add-an-op.md adds it")
        elif facts.work.is_view:
            self._emit(op, [place_view(op, operands[0])] * len(op.results))
        else:
            self._emit_kernel(op, place(op, facts.work, operands))

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

    def _is_linear(self, op: TorchOp, operands: list[Placement]) -> bool:
        """Whether an op of terms gives the terms of its result."""
        work = self._reader.read(op).work
        return (operator_name(op) == "aten.add.Tensor" and operands == [PARTIAL] * 2) or bool(
            work and work.is_view
        )

    def _emit_kernel(self, op: TorchOp, results: list[Placement]) -> None:
        """Emit an op some of whose operands are cut; a mean over the batch needs the whole batch's count."""
        call = to_call(op)
        name = operator_name(op).split(".")[1]
        is_mean = call.properties.get("reduction") == _MEAN
        if name.endswith("_backward") and is_mean and call.get("total_weight") is None:
            gradient = op.operands[0]
            self._sums[gradient] = self._divide(self._values_of(gradient), op)
            self._emit(op, results)
            del self._sums[gradient]
        elif name.startswith("nll_loss") and not name.endswith("_backward") and is_mean:
            new = self._emit(op, results, {"reduction": _SUM})
            weight = self._whole(op.results[1], op)
            self._values[op.results[0]] = self._add(
                "aten.div.Tensor", {"self": new.results[0], "other": weight}, new.results[0].type, op
            )
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
            properties={**op.properties, **self._local_shapes(op, results), **changed},
            attributes=kept,
        )
        for old, fresh, placement in zip(op.results, new.results, results, strict=True):
            fresh.name_hint = old.name_hint
            self._values[old], self._placed[old] = fresh, placement
        self._block.add_op(new)
        return new

    def _local_shapes(self, op: TorchOp, results: list[Placement]) -> dict[str, Attribute]:
        """The properties that say how large the result is."""
        at = results[0].dim if results else -1
        found: dict[str, Attribute] = {}
        for name in _SHAPES if at >= 0 else ():
            sizes = op.properties.get(name)
            if isinstance(sizes, ArrayAttr):
                items = [*cast("ArrayAttr[Attribute]", sizes)]
                if items[at] != IntegerAttr(-1, i64):
                    items[at] = IntegerAttr(_shape(op.results[0])[at] // self._ranks, i64)
                found[name] = ArrayAttr(items)
        return found

    def _values_of(self, value: SSAValue) -> SSAValue:
        return self._sums.get(value, self._values[value])

    def _whole(self, value: SSAValue, user: Operation) -> SSAValue:
        """All of a value on every rank."""
        if value in self._sums or self._placed[value] == WHOLE:
            return self._values_of(value)
        local, group = self._values[value], "0"
        if self._placed[value] == PARTIAL:
            reduce: dict[str, Argument] = {"input": local, "reduce_op": "sum", "group_name": group}
            pending = self._add("_c10d_functional.all_reduce", reduce, local.type, user)
        elif self._placed[value].dim == 0:
            gather: dict[str, Argument] = {"input": local, "group_size": self._ranks, "group_name": group}
            pending = self._add("_c10d_functional.all_gather_into_tensor", gather, value.type, user)
        else:
            raise CannotPlace(f"its operand is cut along dim {self._placed[value].dim}, not the first")
        self._sums[value] = self._add("_c10d_functional.wait_tensor", {"tensor": pending}, value.type, user)
        return self._sums[value]

    def _divide(self, value: SSAValue, like: Operation) -> SSAValue:
        return self._add("aten.div.Scalar", {"self": value, "other": self._ranks}, value.type, like)

    def _add(self, name: str, arguments: dict[str, Argument], result: Attribute, like: Operation) -> SSAValue:
        """Add an op that belongs where another one does."""
        kind, schema = op_class(name), schema_of(name)
        assert kind and schema, name
        new = kind.build_call(schema, arguments, [result])
        new.attributes.update({k: v for k, v in like.attributes.items() if k in (PHASE, OP_PATH)})
        self._block.add_op(new)
        return new.results[0]

    def _cut(self, type_: Attribute, placement: Placement) -> Attribute:
        """The type of what one rank holds."""
        if placement.dim < 0 or not isinstance(type_, TensorType):
            return type_
        shape = list(type_.get_shape())
        if shape[placement.dim] % self._ranks:
            raise CannotPlace(
                f"dim {placement.dim} has {shape[placement.dim]} elements for {self._ranks} ranks"
            )
        shape[placement.dim] //= self._ranks
        return TensorType(cast("TensorType[Attribute]", type_).element_type, shape)
