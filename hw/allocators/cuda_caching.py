"""PyTorch's CUDA caching allocator: choice of the block for a request, and of segments from the device.

The rules are those of c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h (torch 2.13); each
method names the function that it models.
"""

from steelyard.hw.allocators.allocator import OutOfMemory, Usage
from steelyard.hw.allocators.block import Block, Pool, run_of
from steelyard.hw.allocators.cuda_options import CudaOptions
from steelyard.hw.base.units import MIB

ROUND_BYTES = 512
SMALL_BYTES = MIB
SMALL_SEGMENT_BYTES = 2 * MIB
MIN_LARGE_BYTES = 10 * MIB
ROUND_LARGE_BYTES = 2 * MIB


class CudaCachingAllocator:
    """Model of PyTorch's CUDA allocator on one device.

    Args:
        capacity_bytes: Memory available to tensors (the device's less the context); None for no limit.
        options: As in PYTORCH_CUDA_ALLOC_CONF.
    """

    def __init__(self, capacity_bytes: int | None = None, options: CudaOptions | None = None) -> None:
        self.usage = Usage()
        self._options = options or CudaOptions()
        limit = self._options.max_split_size_mb
        self._max_split_bytes = limit * MIB if limit is not None else None
        self._large_segment_bytes = self._options.large_segment_size_mb * MIB
        # Larger than any device, so that the expandable segments of two pools never meet, and whole pages.
        self._range_bytes = SMALL_SEGMENT_BYTES * self._options.large_segment_size_mb << 40
        self._capacity_bytes = capacity_bytes
        self._pools: dict[tuple[int, bool], Pool] = {}
        self._used: dict[int, tuple[Block, int]] = {}
        self._requests = 0
        self._next_address = 0

    def malloc(self, size_bytes: int, stream: int = 0) -> int:
        """Serve a request; see `Allocator`. A request of no bytes takes none.

        Args:
            size_bytes: Requested size.
            stream: Stream of the request; blocks of other streams are not used.

        Raises:
            OutOfMemory: The request does not fit even after all cached segments were released.
        """
        self._requests += 1
        if not size_bytes:
            return self._requests
        size = round_size(size_bytes, self._options.divisions(size_bytes))
        is_small = size <= SMALL_BYTES
        pool = self._pools.setdefault((stream, is_small), Pool(is_small))
        block = self._cached(pool, size) or self._from_device(pool, size)
        if self._should_split(block, size):
            pool.add(block.split(size))
        block.free = False
        self._used[self._requests] = block, size_bytes
        self.usage.count(size_bytes, block.size)
        return self._requests

    def free(self, request: int) -> None:
        """Give a block back to its pool, merged with its free neighbours; see `Allocator`."""
        if request not in self._used and 0 < request <= self._requests:
            return  # of no bytes
        block, size_bytes = self._used.pop(request)
        self.usage.count(-size_bytes, -block.size)
        block.free, block.freed_at = True, block.pool.searches
        block.merge()
        block.pool.add(block)

    def empty_cache(self) -> None:
        """Give back to the device all that no request has, as `torch.cuda.empty_cache` (release_blocks)."""
        for pool in self._pools.values():
            for block in pool:
                if self._options.expandable_segments:
                    self._unmap(block)
                elif not block.is_split:
                    self._release(block)

    def segments(self) -> list[list[tuple[int, bool]]]:
        """Every segment in order of address: the size of each mapped block, and whether it is in use."""
        blocks = [block for pool in self._pools.values() for block in (*pool, *pool.unmapped)]
        blocks += [block for block, _ in self._used.values()]
        firsts = sorted((b for b in blocks if b.before is None), key=lambda block: block.address)
        return [[(b.size, not b.free) for b in run_of(first) if b.mapped] for first in firsts]

    def _cached(self, pool: Pool, size: int) -> Block | None:
        """The smallest cached block that is large enough (get_free_block)."""
        pool.searches += 1
        candidates = pool.at_least(size)
        block = next(candidates, None)
        if block is None:
            return None
        if self._options.expandable_segments:
            # A block that can grow counts as large as it can become.
            for other in candidates:
                if _grown_size(other) >= _grown_size(block):
                    break
                block = other
        limit = self._max_split_bytes
        if limit is not None:
            # A block above the limit is for requests above it, and then not for much smaller ones.
            if size < limit <= block.size:
                return None
            if size >= limit and block.size >= size + self._options.max_non_split_rounding_mb * MIB:
                return None
        pool.remove(block)
        return block

    def _from_device(self, pool: Pool, size: int) -> Block:
        """Take a segment from the device, releasing cached segments if memory is short (malloc)."""
        self._collect_garbage()
        take = self._map if self._options.expandable_segments else self._segment
        block = take(pool, size)
        if block is None and self._release_above_limit(pool, size):
            block = take(pool, size)
        if block is None:
            self.empty_cache()
            block = take(pool, size)
        if block is None:
            raise self._out_of_memory(size)
        return block

    def _segment(self, pool: Pool, size: int) -> Block | None:
        """A segment of its own (alloc_block, get_allocation_size)."""
        bytes_ = ROUND_LARGE_BYTES * -(-size // ROUND_LARGE_BYTES)
        if size < MIN_LARGE_BYTES:
            bytes_ = SMALL_SEGMENT_BYTES if pool.is_small else self._large_segment_bytes
        return Block(self._take_range(bytes_), bytes_, pool) if self._reserve(bytes_) else None

    def _map(self, pool: Pool, size: int) -> Block | None:
        """Memory behind the first part of the expandable segment that has room (find_expandable_block)."""
        block = next(
            (found for each in pool.unmapped if _room(found := _with_free_before(each)) >= size), None
        )
        if block is None:
            block = Block(self._take_range(self._range_bytes), self._range_bytes, pool, mapped=False)
            pool.add(block)
        page = SMALL_SEGMENT_BYTES if pool.is_small else self._large_segment_bytes
        while not block.mapped or block.size < size:
            unmapped = block.after if block.mapped else block
            assert unmapped is not None
            missing = size - (block.size if block.mapped else 0)
            growth = min(unmapped.size, page * -(-missing // page))
            if not self._reserve(growth):
                return None
            pool.remove(unmapped)
            if growth < unmapped.size:
                pool.add(unmapped.split(growth))
            unmapped.mapped = True
            unmapped.merge()
            pool.add(unmapped)
            block = unmapped
        pool.remove(block)
        return block

    def _unmap(self, block: Block) -> None:
        """Take the whole pages in a free block from under it (unmap_block)."""
        page = SMALL_SEGMENT_BYTES if block.pool.is_small else self._large_segment_bytes
        lead = -block.address % page
        pages = (block.size - lead) // page * page
        if pages <= 0:
            return
        pool = block.pool
        pool.remove(block)
        if lead:
            whole = block.split(lead)
            pool.add(block)
            block = whole
        if block.size > pages:
            pool.add(block.split(pages))
        block.mapped = False
        block.merge()
        pool.add(block)
        self.usage.count(reserved=-pages)

    def _should_split(self, block: Block, size: int) -> bool:
        rest = block.size - size
        if block.pool.is_small or self._options.expandable_segments:
            return rest >= ROUND_BYTES
        below_limit = self._max_split_bytes is None or size < self._max_split_bytes
        return below_limit and rest > SMALL_BYTES

    def _collect_garbage(self) -> None:
        """Give back the longest unused large segments (garbage_collect_cached_blocks).

        PyTorch does so only where a limit was set with `set_per_process_memory_fraction`; the capacity is
        taken for it.
        """
        threshold = self._options.garbage_collection_threshold
        if not threshold or self._capacity_bytes is None:
            return
        excess = self.usage.reserved - int(threshold * self._capacity_bytes)
        idle = [b for p in self._pools.values() if not p.is_small for b in p if not b.is_split]
        while idle and excess > 0:
            ages = [block.pool.searches - block.freed_at for block in idle]
            average = sum(ages) / len(ages)
            for block, age in zip(idle, ages, strict=True):
                if age >= average:
                    excess -= block.size
                    self._release(block)
            idle = [block for block, age in zip(idle, ages, strict=True) if age < average]

    def _release_above_limit(self, pool: Pool, size: int) -> bool:
        """Give back blocks above the limit on splitting (release_available_cached_blocks)."""
        limit = self._max_split_bytes
        if limit is None or self._options.expandable_segments:
            return False
        wanted = max(size, limit)
        enough = next(pool.at_least(wanted), None)
        if enough is not None:
            self._release(enough)
            return True
        released = 0
        for block in reversed([*pool.at_least(limit)]):
            if released >= wanted:
                break
            released += block.size
            self._release(block)
        return released >= wanted

    def _release(self, block: Block) -> None:
        block.pool.remove(block)
        self.usage.count(reserved=-block.size)

    def _reserve(self, bytes_: int) -> bool:
        if self._capacity_bytes is not None and self.usage.reserved + bytes_ > self._capacity_bytes:
            return False
        self.usage.count(reserved=bytes_)
        return True

    def _take_range(self, bytes_: int) -> int:
        address, self._next_address = self._next_address, self._next_address + bytes_
        return address

    def _out_of_memory(self, size: int) -> OutOfMemory:
        gaps = self.usage.reserved - self.usage.allocated
        return OutOfMemory(
            what=f"a block of {size:,} bytes does not fit",
            why=f"of {self._capacity_bytes:,} bytes {self.usage.allocated:,} are in use, "
            f"{gaps:,} lie in gaps",
        )


def round_size(size_bytes: int, power2_divisions: int = 0) -> int:
    """Return the bytes of the block for a request (round_size, roundup_power2_next_division)."""
    if power2_divisions > 1 and size_bytes > ROUND_BYTES * power2_divisions:
        step = (1 << (size_bytes.bit_length() - 1)) // power2_divisions
        return step * -(-size_bytes // step)
    return max(ROUND_BYTES, ROUND_BYTES * -(-size_bytes // ROUND_BYTES))


def _grown_size(block: Block) -> int:
    grows = block.after is not None and not block.after.mapped
    return block.size + (block.after.size if grows and block.after is not None else 0)


def _with_free_before(block: Block) -> Block:
    return block.before if block.before is not None and block.before.free else block


def _room(block: Block) -> int:
    """Bytes from a block on until the first that is in use."""
    room = 0
    for each in run_of(block):
        if not each.free:
            break
        room += each.size
    return room
