"""Blocks of memory side by side in a segment, and the pools that cache those that are free."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Block:
    """A run of bytes in a segment.

    Attributes:
        address: Where it starts.
        size: Its bytes.
        pool: Where it is cached when it is free.
        free: Whether no request has it.
        mapped: Whether memory stands behind it; only parts of an expandable segment may have none.
        freed_at: The count of searches in its pool when it was last given back.
        before: Its neighbour in the segment, as is `after`.
    """

    address: int
    size: int
    pool: "Pool"
    free: bool = True
    mapped: bool = True
    freed_at: int = 0
    before: "Block | None" = None
    after: "Block | None" = None

    @property
    def is_split(self) -> bool:
        """Whether it is only a part of its segment."""
        return self.before is not None or self.after is not None

    def split(self, size: int) -> "Block":
        """Keep the first `size` bytes and return the rest, which no pool has yet."""
        rest = Block(self.address + size, self.size - size, self.pool, mapped=self.mapped)
        rest.before, rest.after, rest.freed_at = self, self.after, self.freed_at
        if self.after is not None:
            self.after.before = rest
        self.after, self.size = rest, size
        return rest

    def merge(self) -> None:
        """Take in those neighbours that are free, and mapped as this is; they leave their pool."""
        for other in (self.before, self.after):
            if other is None or not other.free or other.mapped != self.mapped:
                continue
            self.pool.remove(other)
            self.size += other.size
            if other is self.before:
                self.address, self.before = other.address, other.before
                if self.before is not None:
                    self.before.after = self
            else:
                self.after = other.after
                if self.after is not None:
                    self.after.before = self


def run_of(first: Block) -> Iterator[Block]:
    """A block and all behind it in its segment."""
    block: Block | None = first
    while block is not None:
        yield block
        block = block.after


@dataclass(slots=True, eq=False)
class Pool:
    """The free blocks of one stream and size class: mapped ones by size, unmapped ones by address.

    Attributes:
        is_small: Whether it serves small requests.
        searches: How often a block was looked for.
        unmapped: Parts of expandable segments with no memory behind them.
    """

    is_small: bool
    searches: int = 0
    unmapped: list[Block] = field(default_factory=list[Block])
    _keys: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    _blocks: dict[int, Block] = field(default_factory=dict[int, Block])

    def __iter__(self) -> Iterator[Block]:
        return iter([self._blocks[address] for _, address in self._keys])

    def add(self, block: Block) -> None:
        """Cache a free block."""
        if not block.mapped:
            insort(self.unmapped, block, key=lambda each: each.address)
            return
        insort(self._keys, (block.size, block.address))
        self._blocks[block.address] = block

    def remove(self, block: Block) -> None:
        """Take a block out."""
        if not block.mapped:
            self.unmapped.remove(block)
            return
        del self._keys[bisect_left(self._keys, (block.size, block.address))]
        del self._blocks[block.address]

    def at_least(self, size: int) -> Iterator[Block]:
        """The mapped blocks of at least this size, the smallest first."""
        for _, address in self._keys[bisect_left(self._keys, (size, 0)) :]:
            yield self._blocks[address]
