"""Which block of a stack a value belongs to, and which value of another block is its like."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple, cast

from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import OpResult, SSAValue

from steelyard.compiler.dialects.program import PATH, ROLE, argument_texts


class LayersDiffer(Exception):
    """Blocks that look alike do not do the same; the model has to be captured as a whole."""


class Origin(NamedTuple):
    """The block of a value, and what the value is there: `what` is the same for its like in all blocks.

    The first part of `what` is the chain of calls, by index, or the role of an argument.
    """

    what: tuple[int | str, Hashable]
    number: int


class BlockValues:
    """The arguments of the blocks of a stack, and the results of the calls that stand for blocks.

    Args:
        entry: The program.
        path: Of the stack.
        known: The numbers of the blocks that have calls.
        calls: For each chain, the forward and then the backward, its calls in that order.

    Attributes:
        known: The numbers of the blocks by whose example others are made.
        chains: The calls of each chain by number of the block; new ones are added here.
    """

    def __init__(
        self, entry: FuncOp, path: str, known: Sequence[int], calls: Sequence[Sequence[CallOp]]
    ) -> None:
        self.known = known
        self.chains = [dict(zip(known, chain, strict=True)) for chain in calls]
        self._path = path
        self._places = {call: (n, k) for n, chain in enumerate(self.chains) for k, call in chain.items()}
        self._arguments: dict[tuple[str, str], SSAValue] = {}
        self._origins: dict[SSAValue, Origin] = {}
        roles, paths = argument_texts(entry, ROLE), argument_texts(entry, PATH)
        for value, role, text in zip(entry.body.block.args, roles, paths, strict=True):
            self._arguments[role, text] = value
            if (number := block_number(text, path)) is not None:
                self._origins[value] = Origin((role, renumber(text, path, 0)), number)

    def origin(self, value: SSAValue | None) -> Origin | None:
        """The origin of a value of a known block, None for any other."""
        if isinstance(value, OpResult) and value.op in self._places:
            chain, number = self._places[cast(CallOp, value.op)]
            return Origin((chain, value.index), number)
        origin = self._origins.get(value) if value is not None else None
        return origin if origin is not None and origin.number in self.known else None

    def value(self, what: tuple[int | str, Hashable], number: int) -> SSAValue:
        """The value of a block that is known or new.

        Raises:
            Irregular: It has none.
        """
        chain, key = what
        if isinstance(chain, int):
            return self.chains[chain][number].results[cast(int, key)]
        value = self._arguments.get((chain, renumber(cast(str, key), self._path, number)))
        if value is None:
            raise LayersDiffer
        return value

    def of_block(self, number: int) -> Iterator[SSAValue]:
        """The arguments of a block, and the results of its calls."""
        yield from (value for value, origin in self._origins.items() if origin.number == number)
        for chain in self.chains:
            if number in chain:
                yield from chain[number].results


def block_number(text: str, path: str) -> int | None:
    """The number of the block of the list at `path` that a path leads into, None if it does not."""
    prefix = f"{path}." if path else ""
    number = text[len(prefix) :].partition(".")[0]
    return int(number) if text.startswith(prefix) and number.isdigit() else None


def renumber(text: str, path: str, number: int) -> str:
    """A path into a block of the list at `path`, or to the block itself, for another block."""
    prefix = f"{path}." if path else ""
    _, dot, inner = text[len(prefix) :].partition(".")
    return f"{prefix}{number}{dot}{inner}"
