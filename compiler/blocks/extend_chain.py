"""Calls of the layers of a stack: add those of layers that the capture skipped."""

from collections.abc import Sequence

from xdsl.dialects.builtin import StringAttr
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.blocks.extend_lists import LayerLists
from steelyard.compiler.blocks.layer_values import LayersDiffer, LayerValues, Origin, renumber
from steelyard.compiler.dialects.program import OP_PATH, DropOp, text_attribute


class LayerCalls:
    """The calls for layers 1, 2 and n-2 of a stack of n, in the forward and in the backward.

    Args:
        entry: The function that has them.
        path: Path of the stack.
        count: n.
        calls: The three calls of each chain: of the forward, then of the backward.
    """

    def __init__(self, entry: FuncOp, path: str, count: int, calls: Sequence[Sequence[CallOp]]) -> None:
        self._entry = entry
        self._path = path
        self._captured = (1, 2, count - 2)
        self._new = range(3, count - 2)
        self._calls = {call for chain in calls for call in chain}
        self._values = LayerValues(entry, path, self._captured, calls)

    def lengthen(self) -> None:
        """Add the calls of layers 3 to n-3, and their values to lists.

        Raises:
            LayersDiffer: The operands of the captured calls do not correspond.
        """
        self._check()
        users = self._other_users()
        _, second, third = self._captured
        orders = (self._new, third), (self._new[::-1], second)
        for chain, (layers, before) in zip(self._values.chains, orders, strict=False):
            for layer in layers:
                chain[layer] = self._copy(chain[second], layer)
                self._entry.body.block.insert_op_before(chain[layer], chain[before])
        self._join()
        lists = LayerLists(self._entry, self._path, self._values, self._new)
        for run in users:
            lists.lengthen(run)

    def _check(self) -> None:
        for chain in self._values.chains:
            for values in zip(*(chain[layer].operands for layer in self._captured), strict=True):
                if not self._corresponds(values):
                    raise LayersDiffer
        if any(value.uses for layer in self._new for value in self._values.of_layer(layer)):
            raise LayersDiffer

    def _corresponds(self, values: Sequence[SSAValue]) -> bool:
        """Whether corresponding operands of layers 1, 2 and n-2 have corresponding producers.

        The producer may be the previous layer, the layer itself or the next one. Operands of layers 1 and n-2
        from beyond the captured layers have no counterpart and need none.
        """
        first, second, third = map(self._values.origin, values)
        if second is None:
            return values[0] is values[1] is values[2]
        counterparts = [None, *(Origin(second.slot, layer) for layer in self._captured), None]
        at = counterparts.index(second)
        return first == counterparts[at - 1] and third == counterparts[at + 1]

    def _other_users(self) -> list[list[Operation]]:
        """Ops other than layer calls that use values of layer 2; adjacent drops form one group."""
        used_by = {use.operation for value in self._values.of_layer(2) for use in value.uses} - self._calls
        runs: list[list[Operation]] = []
        for op in self._entry.body.block.ops:
            if op in used_by and not any(op in run for run in runs):
                runs.append(_drops_around(op) if isinstance(op, DropOp) else [op])
        return runs

    def _copy(self, call: CallOp, layer: int) -> CallOp:
        """The call of layer 2, copied for another layer."""
        operands: list[SSAValue] = []
        for value in call.operands:
            origin = self._values.origin(value)
            shift = 0 if origin is None else self._captured.index(origin.layer) - 1
            operands.append(value if origin is None else self._values.value(origin.slot, layer + shift))
        copy = CallOp(call.callee, operands, [result.type for result in call.results])
        copy.attributes[OP_PATH] = StringAttr(renumber(text_attribute(call, OP_PATH), self._path, layer))
        return copy

    def _join(self) -> None:
        """Rewire layers 2 and n-2, neighbours in the capture, to the new layers between them."""
        _, second, third = self._captured
        for chain in self._values.chains:
            self._redirect(chain[second], third, self._new[0])
            self._redirect(chain[third], second, self._new[-1])

    def _redirect(self, call: CallOp, before: int, after: int) -> None:
        for index, value in enumerate(call.operands):
            origin = self._values.origin(value)
            if origin is not None and origin.layer == before:
                call.operands[index] = self._values.value(origin.slot, after)


def _drops_around(op: Operation) -> list[Operation]:
    """The run of adjacent drops around a drop."""
    while isinstance(op.prev_op, DropOp):
        op = op.prev_op
    run = [op]
    while isinstance(run[-1].next_op, DropOp):
        run.append(run[-1].next_op)
    return run
