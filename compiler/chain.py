"""Calls of one function, one for each block of a stack: more of them by the example of those that are there."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, cast

from xdsl.dialects.builtin import ArrayAttr, FunctionType, StringAttr
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Block, Operation, OpResult, SSAValue

from steelyard.compiler.dialects.program import (
    OP_PATH,
    PATH,
    PHASE,
    RESULTS,
    ROLE,
    DropOp,
    argument_texts,
    text_attribute,
)
from steelyard.compiler.dialects.torch_op import Argument, TorchOp


class Irregular(Exception):
    """Blocks that look alike do not do the same; the model has to be captured as a whole."""


class _Origin(NamedTuple):
    """The block that a value belongs to, and what it is there; equal values of all blocks have one `what`."""

    what: tuple[Hashable, Hashable]
    number: int


class _Item(NamedTuple):
    """An item of a longer list: the item of the shorter one that it is like, and its block if it is new."""

    value: SSAValue | None
    source: int
    number: int | None = None


class Chains:
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
        self._chains = [dict(zip(self._known, chain, strict=True)) for chain in calls]
        self._places = {call: (n, k) for n, chain in enumerate(self._chains) for k, call in chain.items()}
        self._arguments: dict[tuple[str, str], SSAValue] = {}
        self._origins: dict[SSAValue, _Origin] = {}
        roles, paths = argument_texts(entry, ROLE), argument_texts(entry, PATH)
        for value, role, text in zip(entry.body.block.args, roles, paths, strict=True):
            self._arguments[role, text] = value
            if (number := block_number(text, path)) is not None:
                self._origins[value] = _Origin((role, renumber(text, path, 0)), number)

    def lengthen(self) -> None:
        """Add the calls of the blocks between 2 and n-2, and their values to lists.

        Raises:
            Irregular: The calls that are there do not say what those take.
        """
        self._check()
        users = self._other_users()
        for chain, numbers, before in zip(
            self._chains, (self._new, self._new[::-1]), (self._known[2], 2), strict=False
        ):
            for number in numbers:
                chain[number] = self._copy(chain[2], number)
                _block_of(chain[before]).insert_op_before(chain[number], chain[before])
        self._join()
        for run in users:
            if isinstance(run[0], DropOp):
                self._lengthen_drops(cast("list[DropOp]", run))
            elif isinstance(run[0], ReturnOp):
                self._lengthen_results(run[0])
            else:
                self._lengthen_optimizer(run[0])

    def _origin(self, value: SSAValue | None) -> _Origin | None:
        """The origin of a value of block 1, 2 or n-2, None for all others."""
        if isinstance(value, OpResult) and value.op in self._places:
            chain, number = self._places[cast(CallOp, value.op)]
            return _Origin((chain, value.index), number)
        origin = self._origins.get(value) if value is not None else None
        return origin if origin is not None and origin.number in self._known else None

    def _value(self, what: tuple[Hashable, Hashable], number: int) -> SSAValue:
        """The value that is that of a block."""
        chain, key = what
        if isinstance(chain, int):
            return self._chains[chain][number].results[cast(int, key)]
        value = self._arguments.get((cast(str, chain), renumber(cast(str, key), self._path, number)))
        if value is None:
            raise Irregular
        return value

    def _check(self) -> None:
        for chain in self._chains:
            for values in zip(*(chain[number].operands for number in self._known), strict=True):
                if not self._corresponds(values):
                    raise Irregular
        for value, origin in self._origins.items():
            if origin.number in self._new and value.uses:
                raise Irregular

    def _corresponds(self, values: Sequence[SSAValue]) -> bool:
        """Whether what blocks 1, 2 and n-2 take is the same to each, as far as it is from 1, 2 and n-2."""
        first, second, third = map(self._origin, values)
        if second is None:
            return values[0] is values[1] is values[2]
        by_place = [_Origin(second.what, number) for number in self._known]
        at = by_place.index(second)
        return first == (by_place[at - 1] if at else None) and third == (
            None if at == 2 else by_place[at + 1]
        )

    def _other_users(self) -> list[list[Operation]]:
        """What else uses values of block 2; drops together with those beside them."""
        values = [value for value, origin in self._origins.items() if origin.number == 2]
        values += [result for chain in self._chains for result in chain[2].results]
        used_by = {use.operation for value in values for use in value.uses} - self._places.keys()
        runs: list[list[Operation]] = []
        for op in self._entry.body.block.ops:
            if op in used_by and not any(op in run for run in runs):
                runs.append(_drops_around(op) if isinstance(op, DropOp) else [op])
        return runs

    def _copy(self, call: CallOp, number: int) -> CallOp:
        """The call of block 2 for another block."""
        operands: list[SSAValue] = []
        for value in call.operands:
            origin = self._origin(value)
            shift = 0 if origin is None else self._known.index(origin.number) - 1
            operands.append(value if origin is None else self._value(origin.what, number + shift))
        copy = CallOp(call.callee, operands, [result.type for result in call.results])
        copy.attributes |= call.attributes
        copy.attributes[OP_PATH] = self._renumbered(text_attribute(call, OP_PATH), number)
        return copy

    def _join(self) -> None:
        """Let blocks 2 and n-2, which were neighbours, take from the new ones between them."""
        _, second, third = self._known
        for chain in self._chains:
            for number, neighbour, new in (
                (second, third, self._new[0]),
                (third, second, self._new[-1]),
            ):
                for index, value in enumerate(chain[number].operands):
                    origin = self._origin(value)
                    if origin is not None and origin.number == neighbour:
                        chain[number].operands[index] = self._value(origin.what, new)

    def _lengthened(self, items: Sequence[SSAValue | None]) -> list[_Item]:
        """A list that has values of all known blocks in a row, with those of the new ones between them."""
        origins = [self._origin(value) for value in items]
        longer: list[list[_Item]] = [[_Item(value, source)] for source, value in enumerate(items)]
        for kind in {origin.what[0]: None for origin in origins if origin and origin.number == 2}:
            mine = [i for i, o in enumerate(origins) if o and o.number == 2 and o.what[0] == kind]
            start, end = mine[0], mine[-1] + 1
            whats = [cast(_Origin, origins[i]).what for i in mine]
            length = len(mine)
            around = origins[max(start - length, 0) : start], origins[end : end + length]
            lower, upper = ([_Origin(what, number) for what in whats] for number in (1, self._known[2]))
            if end - start != length or around not in ((lower, upper), (upper, lower)):
                raise Irregular
            ascends = around[0] == lower
            added = [
                _Item(self._value(what, number), source, number)
                for number in (self._new if ascends else self._new[::-1])
                for source, what in zip(mine, whats, strict=True)
            ]
            if ascends:
                longer[end - 1] += added
            else:
                longer[start] = added + longer[start]
        return [item for group in longer for item in group]

    def _lengthen_drops(self, drops: list[DropOp]) -> None:
        last = drops[-1].next_op
        for item in self._lengthened([drop.value for drop in drops]):
            drop = drops[item.source]
            if item.number is not None and item.value is not None:
                copy = DropOp(item.value)
                copy.attributes |= drop.attributes
                path = text_attribute(drop, OP_PATH)
                if block_number(path, self._path) is not None:
                    copy.attributes[OP_PATH] = self._renumbered(path, item.number)
                drop = copy
            else:
                drop.detach()
            if last is None:
                self._entry.body.block.add_op(drop)
            else:
                self._entry.body.block.insert_op_before(drop, last)

    def _lengthen_results(self, op: ReturnOp) -> None:
        """Gradients of the parameters; other results of a block are not its own."""
        names = [
            cast(StringAttr, name) for name in cast("ArrayAttr[StringAttr]", self._entry.attributes[RESULTS])
        ]
        items = self._lengthened(op.operands)
        prefix = "grad:"
        longer: list[StringAttr] = []
        for item in items:
            name = names[item.source]
            if item.number is not None:
                if not name.data.startswith(prefix):
                    raise Irregular
                name = StringAttr(prefix + self._renumbered(name.data.removeprefix(prefix), item.number).data)
            longer.append(name)
        values = [item.value for item in items if item.value is not None]
        block = _block_of(op)
        op.detach()
        op.erase()
        block.add_op(ReturnOp(*values))
        self._entry.attributes[RESULTS] = ArrayAttr(longer)
        self._entry.properties["function_type"] = FunctionType.from_lists(
            [*self._entry.function_type.inputs], [value.type for value in values]
        )

    def _lengthen_optimizer(self, op: Operation) -> None:
        if not isinstance(op, TorchOp) or op.results or text_attribute(op, PHASE) != "optimizer":
            raise Irregular
        arguments: dict[str, Argument] = {}
        for name, value in op.arguments().items():
            if isinstance(value, SSAValue) and self._origin(value):
                raise Irregular
            if isinstance(value, list) and any(isinstance(item, SSAValue) for item in value):
                items = cast("list[SSAValue | None]", value)
                value = [item.value for item in self._lengthened(items)]
            arguments[name] = value
        longer = type(op).build_call(op.schema, arguments, [])
        longer.attributes |= op.attributes
        _block_of(op).insert_op_before(longer, op)
        op.detach()
        op.erase()

    def _renumbered(self, text: str, number: int) -> StringAttr:
        return StringAttr(renumber(text, self._path, number))


def block_number(text: str, path: str) -> int | None:
    """The number of the block of the list at `path` that a path leads into, None if it does not."""
    prefix = f"{path}." if path else ""
    number = text[len(prefix) :].partition(".")[0]
    return int(number) if text.startswith(prefix) and number.isdigit() else None


def renumber(text: str, path: str, number: int) -> str:
    """A path into a block of the list at `path`, or to it, for another block."""
    prefix = f"{path}." if path else ""
    _, dot, inner = text[len(prefix) :].partition(".")
    return f"{prefix}{number}{dot}{inner}"


def _block_of(op: Operation) -> Block:
    block = op.parent
    assert block is not None
    return block


def _drops_around(op: Operation) -> list[Operation]:
    """The drops that stand in a row with one."""
    while isinstance(op.prev_op, DropOp):
        op = op.prev_op
    run = [op]
    while isinstance(run[-1].next_op, DropOp):
        run.append(run[-1].next_op)
    return run
