"""Adjacent blocks of a memory segment, and the pools that cache free blocks."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Block:
    """A run of bytes in a segment.

    Attributes:
        address: Its start address.
        size: Its size in bytes.
        pool: The pool that caches it when it is free.
        free: Whether no request uses it.
        mapped: Whether physical memory backs it; only parts of an expandable segment may have none.
        freed_at: The pool's count of searches when it was last freed.
        before: The previous block of the segment; `after` is the next one.
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
        """Whether it covers only a part of its segment."""
        return self.before is not None or self.after is not None

    def split(self, size: int) -> "Block":
        """Keep the first `size` bytes and return the rest, which is in no pool yet."""
        rest = Block(self.address + size, self.size - size, self.pool, mapped=self.mapped)
        rest.before, rest.after, rest.freed_at = self, self.after, self.freed_at
        if self.after is not None:
            self.after.before = rest
        self.after, self.size = rest, size
        return rest

    def merge(self) -> None:
        """Merge free neighbours with the same `mapped` into this block; they leave their pool."""
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
    """A block and all blocks after it in its segment."""
    block: Block | None = first
    while block is not None:
        yield block
        block = block.after


@dataclass(slots=True, eq=False)
class Pool:
    """The free blocks of one stream and size class: mapped ones by size, unmapped ones by address.

    Attributes:
        is_small: Whether it serves small requests.
        searches: Number of searches for a block so far.
        unmapped: Parts of expandable segments that no memory backs.
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
        """Remove a block from the cache."""
        if not block.mapped:
            self.unmapped.remove(block)
            return
        del self._keys[bisect_left(self._keys, (block.size, block.address))]
        del self._blocks[block.address]

    def at_least(self, size: int) -> Iterator[Block]:
        """The mapped blocks of at least this size, the smallest first."""
        for _, address in self._keys[bisect_left(self._keys, (size, 0)) :]:
            yield self._blocks[address]
