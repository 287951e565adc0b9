"""Memory scheduling problems: ops, buffers and precedence constraints."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Buffer:
    """A storage of a scheduling problem.

    Attributes:
        bytes: Its size.
        maker: The op that makes it, -1 if it exists from the start.
        users: The other ops that use it.
        stays: Whether it is never freed; otherwise it is freed after its last user, or after its maker.
    """

    bytes: int
    maker: int
    users: set[int]
    stays: bool


@dataclass(frozen=True, slots=True)
class MemoryGraph:
    """A scheduling problem: ops, buffers and precedence constraints. Ops are indices in the function's order.

    Attributes:
        start_bytes: Live bytes before the first op.
        own_bytes: Bytes that each op adds to the live bytes while it runs.
        buffers: The storages that are made or freed.
        before: For each op, its predecessors.
        after: For each op, its successors.
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
        """Live bytes at each op of an order."""
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
        """Whether an order has every op once, each after its predecessors."""
        place = {op: index for index, op in enumerate(order)}
        complete = len(order) == len(place) == len(self.before)
        return complete and all(
            place[each] < place[op] for op, earlier in enumerate(self.before) for each in earlier
        )
