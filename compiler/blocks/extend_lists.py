"""Lists with a value of every layer: operands of the optimizer, results, adjacent drops."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from xdsl.dialects.builtin import ArrayAttr, FunctionType, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.blocks.layer_values import LayersDiffer, LayerValues, Origin, layer_index, renumber
from steelyard.compiler.dialects.program import OP_PATH, PHASE, RESULTS, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import Argument, TorchOp

_GRADIENT = "grad:"


class _Item(NamedTuple):
    """An item of an extended list: the index of the item it is or copies, and its layer if it is new."""

    value: SSAValue | None
    source: int
    layer: int | None = None


class LayerLists:
    """Extension of lists by the values of new layers.

    Args:
        entry: The program.
        path: Path of the stack.
        values: The values of captured and new layers.
        new: Indices of the new layers.
    """

    def __init__(self, entry: FuncOp, path: str, values: LayerValues, new: range) -> None:
        self._entry = entry
        self._path = path
        self._values = values
        self._new = new

    def lengthen(self, run: Sequence[Operation]) -> None:
        """Extend the lists in a run of drops or in one other op.

        Raises:
            LayersDiffer: An op that uses values of some layers is neither an optimizer nor the return, or it
                uses them out of order.
        """
        match run[0]:
            case DropOp():
                self._lengthen_drops(cast("Sequence[DropOp]", run))
            case ReturnOp():
                self._lengthen_results(run[0])
            case TorchOp() if not run[0].results and text_attribute(run[0], PHASE) == "optimizer":
                self._lengthen_optimizer(run[0])
            case _:
                raise LayersDiffer

    def _lengthened(self, items: Sequence[SSAValue | None]) -> list[_Item]:
        """A list with the values of new layers inserted between the adjacent ones of captured layers."""
        origins = [self._values.origin(value) for value in items]
        groups = [[_Item(value, source)] for source, value in enumerate(items)]
        for kind in {origin.slot[0]: None for origin in origins if origin and origin.layer == 2}:
            mine = [n for n, each in enumerate(origins) if each and each.layer == 2 and each.slot[0] == kind]
            start, length = mine[0], len(mine)
            counterparts = [
                [Origin(cast(Origin, origins[n]).slot, layer) for n in mine]
                for layer in self._values.captured
            ]
            found = [
                origins[max(at, 0) : max(at + length, 0)] for at in (start - length, start, start + length)
            ]
            if found not in (counterparts, counterparts[::-1]):
                raise LayersDiffer
            ascends = found == counterparts
            new = [
                _Item(self._values.value(like.slot, layer), source, layer)
                for layer in (self._new if ascends else self._new[::-1])
                for source, like in zip(mine, counterparts[1], strict=True)
            ]
            if ascends:
                groups[start + length - 1] += new
            else:
                groups[start] = new + groups[start]
        return [item for group in groups for item in group]

    def _lengthen_drops(self, drops: Sequence[DropOp]) -> None:
        after = drops[-1].next_op
        assert after is not None, "a function ends with a return"
        for item in self._lengthened([drop.value for drop in drops]):
            drop = drops[item.source]
            if item.layer is not None and item.value is not None:
                drop = self._copy_drop(drop, item.value, item.layer)
            else:
                drop.detach()
            self._entry.body.block.insert_op_before(drop, after)

    def _copy_drop(self, drop: DropOp, value: SSAValue, layer: int) -> DropOp:
        copy = DropOp(value)
        copy.attributes |= drop.attributes
        path = text_attribute(drop, OP_PATH)
        if layer_index(path, self._path) is not None:
            copy.attributes[OP_PATH] = StringAttr(renumber(path, self._path, layer))
        return copy

    def _lengthen_results(self, op: ReturnOp) -> None:
        """Add the gradients of new layers; other results have no rule for their names."""
        names = [name.data for name in cast("ArrayAttr[StringAttr]", self._entry.attributes[RESULTS])]
        items = self._lengthened(op.operands)
        if any(item.layer is not None and not names[item.source].startswith(_GRADIENT) for item in items):
            raise LayersDiffer
        op.operands = values = [item.value for item in items if item.value is not None]
        self._entry.attributes[RESULTS] = ArrayAttr(
            StringAttr(self._name(names[item.source], item.layer)) for item in items
        )
        kinds = [value.type for value in values]
        self._entry.function_type = FunctionType.from_lists([*self._entry.function_type.inputs], kinds)

    def _name(self, name: str, layer: int | None) -> str:
        if layer is None:
            return name
        return _GRADIENT + renumber(name.removeprefix(_GRADIENT), self._path, layer)

    def _lengthen_optimizer(self, op: TorchOp) -> None:
        arguments: dict[str, Argument] = {}
        for name, value in op.arguments().items():
            if isinstance(value, SSAValue) and self._values.origin(value):
                raise LayersDiffer
            if isinstance(value, list) and any(isinstance(item, SSAValue) for item in value):
                items = self._lengthened(cast("list[SSAValue | None]", value))
                value = [item.value for item in items]
            arguments[name] = value
        longer = type(op).build_call(op.schema, arguments, [])
        longer.attributes |= op.attributes
        self._entry.body.block.insert_op_before(longer, op)
        op.detach()
        op.erase()
