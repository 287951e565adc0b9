"""Lists that have values of every block of a stack: of an optimizer, of results, of drops at one moment."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from xdsl.dialects.builtin import ArrayAttr, FunctionType, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.blocks.block_values import BlockValues, LayersDiffer, Origin, block_number, renumber
from steelyard.compiler.dialects.program import OP_PATH, PHASE, RESULTS, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import Argument, TorchOp

_GRADIENT = "grad:"


class _Item(NamedTuple):
    """An item of a longer list: the index of the item that it is or is like, and its block if it is new."""

    value: SSAValue | None
    source: int
    number: int | None = None


class ChainLists:
    """Adds the values of new blocks to lists.

    Args:
        entry: The program.
        path: Of the stack.
        values: The values of the known blocks and of the new ones.
        new: Their numbers.
    """

    def __init__(self, entry: FuncOp, path: str, values: BlockValues, new: range) -> None:
        self._entry = entry
        self._path = path
        self._values = values
        self._new = new

    def lengthen(self, run: Sequence[Operation]) -> None:
        """Lengthen what a run of drops or one other op has of the blocks.

        Raises:
            Irregular: An op takes values of some blocks and is neither an optimizer nor the return; or it
                does not take them in order.
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
        """A list with the values of the new blocks between those of the known ones, which stand in a row."""
        origins = [self._values.origin(value) for value in items]
        groups = [[_Item(value, source)] for source, value in enumerate(items)]
        for kind in {origin.what[0]: None for origin in origins if origin and origin.number == 2}:
            mine = [n for n, each in enumerate(origins) if each and each.number == 2 and each.what[0] == kind]
            start, length = mine[0], len(mine)
            likes = [
                [Origin(cast(Origin, origins[n]).what, number) for n in mine] for number in self._values.known
            ]
            found = [
                origins[max(at, 0) : max(at + length, 0)] for at in (start - length, start, start + length)
            ]
            if found not in (likes, likes[::-1]):
                raise LayersDiffer
            ascends = found == likes
            new = [
                _Item(self._values.value(like.what, number), source, number)
                for number in (self._new if ascends else self._new[::-1])
                for source, like in zip(mine, likes[1], strict=True)
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
            if item.number is not None and item.value is not None:
                drop = self._copy_drop(drop, item.value, item.number)
            else:
                drop.detach()
            self._entry.body.block.insert_op_before(drop, after)

    def _copy_drop(self, drop: DropOp, value: SSAValue, number: int) -> DropOp:
        copy = DropOp(value)
        copy.attributes |= drop.attributes
        path = text_attribute(drop, OP_PATH)
        if block_number(path, self._path) is not None:
            copy.attributes[OP_PATH] = StringAttr(renumber(path, self._path, number))
        return copy

    def _lengthen_results(self, op: ReturnOp) -> None:
        """Add gradients; of other results it is not known how they are named."""
        names = [name.data for name in cast("ArrayAttr[StringAttr]", self._entry.attributes[RESULTS])]
        items = self._lengthened(op.operands)
        if any(item.number is not None and not names[item.source].startswith(_GRADIENT) for item in items):
            raise LayersDiffer
        op.operands = values = [item.value for item in items if item.value is not None]
        self._entry.attributes[RESULTS] = ArrayAttr(
            StringAttr(self._name(names[item.source], item.number)) for item in items
        )
        kinds = [value.type for value in values]
        self._entry.function_type = FunctionType.from_lists([*self._entry.function_type.inputs], kinds)

    def _name(self, name: str, number: int | None) -> str:
        if number is None:
            return name
        return _GRADIENT + renumber(name.removeprefix(_GRADIENT), self._path, number)

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
