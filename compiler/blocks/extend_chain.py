"""Calls of one function for each block of a stack, more of them by the example of those that are there."""

from collections.abc import Sequence

from xdsl.dialects.builtin import StringAttr
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.blocks.block_values import BlockValues, LayersDiffer, Origin, renumber
from steelyard.compiler.blocks.extend_lists import ChainLists
from steelyard.compiler.dialects.program import OP_PATH, DropOp, text_attribute


class LayerCalls:
    """The calls for blocks 1, 2 and n-2 of a stack of n, in the forward and in the backward.

    Args:
        entry: The function that has them.
        path: Of the stack.
        count: n.
        calls: For each chain, the forward and then the backward, its calls in this order.
    """

    def __init__(self, entry: FuncOp, path: str, count: int, calls: Sequence[Sequence[CallOp]]) -> None:
        self._entry = entry
        self._path = path
        self._known = (1, 2, count - 2)
        self._new = range(3, count - 2)
        self._calls = {call for chain in calls for call in chain}
        self._values = BlockValues(entry, path, self._known, calls)

    def lengthen(self) -> None:
        """Add the calls of the blocks between 2 and n-2, and their values to lists.

        Raises:
            Irregular: The calls that are there do not say what those take.
        """
        self._check()
        users = self._other_users()
        _, second, third = self._known
        orders = (self._new, third), (self._new[::-1], second)
        for chain, (numbers, before) in zip(self._values.chains, orders, strict=False):
            for number in numbers:
                chain[number] = self._copy(chain[second], number)
                self._entry.body.block.insert_op_before(chain[number], chain[before])
        self._join()
        lists = ChainLists(self._entry, self._path, self._values, self._new)
        for run in users:
            lists.lengthen(run)

    def _check(self) -> None:
        for chain in self._values.chains:
            for values in zip(*(chain[number].operands for number in self._known), strict=True):
                if not self._corresponds(values):
                    raise LayersDiffer
        if any(value.uses for number in self._new for value in self._values.of_block(number)):
            raise LayersDiffer

    def _corresponds(self, values: Sequence[SSAValue]) -> bool:
        """Whether what blocks 1 and n-2 take is to them what that which block 2 takes is to it.

        It may be of the block before, of the block itself or of the one after. What blocks 1 and n-2 take
        from the blocks beyond has no like, and none is needed.
        """
        first, second, third = map(self._values.origin, values)
        if second is None:
            return values[0] is values[1] is values[2]
        likes = [None, *(Origin(second.what, number) for number in self._known), None]
        at = likes.index(second)
        return first == likes[at - 1] and third == likes[at + 1]

    def _other_users(self) -> list[list[Operation]]:
        """What else uses values of block 2; drops together with those beside them."""
        used_by = {use.operation for value in self._values.of_block(2) for use in value.uses} - self._calls
        runs: list[list[Operation]] = []
        for op in self._entry.body.block.ops:
            if op in used_by and not any(op in run for run in runs):
                runs.append(_drops_around(op) if isinstance(op, DropOp) else [op])
        return runs

    def _copy(self, call: CallOp, number: int) -> CallOp:
        """The call of block 2 for another block."""
        operands: list[SSAValue] = []
        for value in call.operands:
            origin = self._values.origin(value)
            shift = 0 if origin is None else self._known.index(origin.number) - 1
            operands.append(value if origin is None else self._values.value(origin.what, number + shift))
        copy = CallOp(call.callee, operands, [result.type for result in call.results])
        copy.attributes[OP_PATH] = StringAttr(renumber(text_attribute(call, OP_PATH), self._path, number))
        return copy

    def _join(self) -> None:
        """Let blocks 2 and n-2, which were neighbours, take from the new ones between them."""
        _, second, third = self._known
        for chain in self._values.chains:
            self._redirect(chain[second], third, self._new[0])
            self._redirect(chain[third], second, self._new[-1])

    def _redirect(self, call: CallOp, before: int, after: int) -> None:
        for index, value in enumerate(call.operands):
            origin = self._values.origin(value)
            if origin is not None and origin.number == before:
                call.operands[index] = self._values.value(origin.what, after)


def _drops_around(op: Operation) -> list[Operation]:
    """The drops that stand in a row with one."""
    while isinstance(op.prev_op, DropOp):
        op = op.prev_op
    run = [op]
    while isinstance(run[-1].next_op, DropOp):
        run.append(run[-1].next_op)
    return run
