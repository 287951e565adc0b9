"""ONNX Runtime's arena: best fit with coalescing, in regions that double.

The rules are those of onnxruntime/core/framework/bfc_arena.cc (ONNX Runtime 1.32), with which the script
benchmarks/onnxruntime_arena.py compares it region for region; the function that has a rule is named beside
it. Its bins hold free blocks by power of two and are searched from the smallest that may do, each in order of
size and address: the best fit of all free blocks.
"""

from dataclasses import dataclass

from steelyard.hw.allocators.allocator import OutOfMemory, Usage
from steelyard.hw.allocators.block import Block, Pool, run_of
from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.units import MIB

ROUND_BYTES = 256
STRATEGIES = ("kNextPowerOfTwo", "kSameAsRequested")
_LEAST_BYTES = 8 * 1024
"""Smallest region that is tried if the device is full."""
_RETREAT = 0.9
"""Factor by which the size of a region is reduced if it does not fit on the device."""


@dataclass(frozen=True, slots=True)
class ArenaOptions:
    """Settings of the arena, as in OrtArenaCfg.

    Attributes:
        arena_extend_strategy: Whether regions double, or are as large as the request.
        initial_chunk_size_bytes: The first region, where regions double.
        max_dead_bytes_per_chunk: A block is split if it would waste as much.
        max_power_of_two_extend_bytes: Regions double up to this size; larger ones are for requests.

    Raises:
        UsageError: There is no such strategy, or a size is not positive.
    """

    arena_extend_strategy: str = "kNextPowerOfTwo"
    initial_chunk_size_bytes: int = MIB
    max_dead_bytes_per_chunk: int = 128 * MIB
    max_power_of_two_extend_bytes: int = 1024 * MIB

    def __post_init__(self) -> None:
        if self.arena_extend_strategy not in STRATEGIES:
            raise UsageError(
                what=f"arena_extend_strategy cannot be {self.arena_extend_strategy}",
                why=f"it must be {' or '.join(STRATEGIES)}",
            )
        for name in ("initial_chunk_size_bytes", "max_dead_bytes_per_chunk", "max_power_of_two_extend_bytes"):
            if getattr(self, name) <= 0:
                raise UsageError(what=f"{name} cannot be {getattr(self, name)}", why="it must be positive")


class OnnxRuntimeArena:
    """Model of ONNX Runtime's arena on one device, without streams.

    Args:
        capacity_bytes: Memory available to tensors; None for no limit.
        options: As in OrtArenaCfg.
    """

    def __init__(self, capacity_bytes: int | None = None, options: ArenaOptions | None = None) -> None:
        self.usage = Usage()
        self._options = options or ArenaOptions()
        self._capacity_bytes = capacity_bytes
        self._next_region_bytes = _round_up(self._options.initial_chunk_size_bytes)
        self._pool = Pool(is_small=False)
        self._used: dict[int, tuple[Block, int]] = {}
        self._requests = 0
        self._next_address = 0

    def malloc(self, size_bytes: int) -> int:
        """Serve a request; see `Allocator`. A request of no bytes takes none."""
        self._requests += 1
        if not size_bytes:
            return self._requests
        size = _round_up(size_bytes)
        block = next(self._pool.at_least(size), None)
        if block is None:
            block = self._extend(size)
        self._pool.remove(block)
        # SplitFreeChunkFromBin
        if block.size >= 2 * size or block.size - size >= self._options.max_dead_bytes_per_chunk:
            self._pool.add(block.split(size))
        block.free = False
        self._used[self._requests] = block, size_bytes
        self.usage.count(size_bytes, block.size)
        return self._requests

    def free(self, request: int) -> None:
        """Give a block back, merged with its free neighbours (FreeAndMaybeCoalesce); see `Allocator`."""
        if request not in self._used and 0 < request <= self._requests:
            return  # of no bytes
        block, size_bytes = self._used.pop(request)
        self.usage.count(-size_bytes, -block.size)
        block.free = True
        block.merge()
        self._pool.add(block)

    def regions(self) -> list[list[tuple[int, bool]]]:
        """Every region in the order in which it was taken: the size of each block, whether it is in use."""
        blocks = [*self._pool, *(block for block, _ in self._used.values())]
        firsts = sorted((b for b in blocks if b.before is None), key=lambda block: block.address)
        return [[(block.size, not block.free) for block in run_of(first)] for first in firsts]

    def _extend(self, size: int) -> Block:
        """A new region (Extend)."""
        room = None
        if self._capacity_bytes is not None:
            room = self._capacity_bytes - self.usage.reserved
        region = size if self._options.arena_extend_strategy == "kSameAsRequested" else self._doubled(size)
        while room is not None and region > room:
            region = _round_up(int(region * _RETREAT))
            if region < max(size, _LEAST_BYTES):
                raise self._out_of_memory(size)
        self.usage.count(reserved=region)
        block = Block(self._next_address, region, self._pool)
        # Regions never merge, wherever they lie.
        self._next_address += region
        self._pool.add(block)
        return block

    def _doubled(self, size: int) -> int:
        """The next power of two, which doubles at once if nothing else made it grow."""
        region, limit = self._next_region_bytes, self._options.max_power_of_two_extend_bytes
        if size <= region:
            self._next_region_bytes = 2 * region if 2 * region < limit else limit
            return region
        while size > region:
            region *= 2
        self._next_region_bytes = region
        return region

    def _out_of_memory(self, size: int) -> OutOfMemory:
        gaps = self.usage.reserved - self.usage.allocated
        return OutOfMemory(
            what=f"a block of {size:,} bytes does not fit",
            why=f"of {self._capacity_bytes:,} bytes {self.usage.allocated:,} are in use, "
            f"{gaps:,} lie in gaps",
        )


def _round_up(size_bytes: int) -> int:
    return ROUND_BYTES * -(-size_bytes // ROUND_BYTES)
