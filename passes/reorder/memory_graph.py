"""The ops of a function as memory sees them: what each makes and uses, and what must precede it."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Buffer:
    """A storage in a question of order.

    Attributes:
        bytes: Its size.
        maker: The op that makes it, -1 where it is there from the start.
        users: The other ops that use it.
        stays: Whether it is never freed; else it is after the last user, or after the maker.
    """

    bytes: int
    maker: int
    users: set[int]
    stays: bool


@dataclass(frozen=True, slots=True)
class MemoryGraph:
    """A question of order. Ops are meant by their index in the order that the function has.

    Attributes:
        start_bytes: Alive before the first op.
        own_bytes: What each op has alive while it runs, beside what is alive before it.
        buffers: What is made or freed.
        before: For each op those that must come before it.
        after: The reverse.
    """

    start_bytes: int
    own_bytes: list[int]
    buffers: list[Buffer]
    before: list[set[int]]
    after: list[set[int]] = field(init=False)

    def __post_init__(self) -> None:
        after: list[set[int]] = [set() for _ in self.before]
        for op, earlier in enumerate(self.before):
            for each in earlier:
                after[each].add(op)
        object.__setattr__(self, "after", after)

    def tops(self, order: Sequence[int]) -> list[int]:
        """Live bytes while each op of an order runs."""
        place = {op: index for index, op in enumerate(order)}
        place[-1] = -1
        change = [0] * (len(order) + 1)  # before the op of that index
        for buffer in self.buffers:
            born = place[buffer.maker]
            if born >= 0:
                change[born + 1] += buffer.bytes
            if not buffer.stays:
                change[max((place[user] for user in buffer.users), default=born) + 1] -= buffer.bytes
        tops, live = list[int](), self.start_bytes
        for index, op in enumerate(order):
            live += change[index]
            tops.append(live + self.own_bytes[op])
        return tops

    def is_valid(self, order: Sequence[int]) -> bool:
        """Whether an order has every op once, each after those that must precede it."""
        place = {op: index for index, op in enumerate(order)}
        complete = len(order) == len(place) == len(self.before)
        return complete and all(
            place[each] < place[op] for op, earlier in enumerate(self.before) for each in earlier
        )
