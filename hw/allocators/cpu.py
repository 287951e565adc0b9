"""PyTorch's CPU allocator: one malloc block a request."""

from steelyard.hw.allocators.allocator import OutOfMemory, Usage
from steelyard.hw.base.units import MIB

MAPPED_FROM_BYTES = 32 * MIB
"""Size from which glibc's malloc maps each block anew (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)): its threshold
rises up to that as blocks are freed."""


class CpuAllocator:
    """Blocks of exactly the requested size, freed at once (nothing is cached).

    PyTorch aligns CPU tensors to 64 bytes (c10/core/alignment.h, torch 2.13) by the address, not by the size,
    and its profiler counts requested bytes. Malloc's own overhead is not modelled.

    Args:
        capacity_bytes: Memory of the machine; None for no limit.
    """

    def __init__(self, capacity_bytes: int | None = None) -> None:
        self.usage = Usage()
        self._capacity_bytes = capacity_bytes
        self._sizes: dict[int, int] = {}
        self._next = 0

    def malloc(self, size_bytes: int) -> int:
        """Serve a request; see `Allocator`."""
        needed = self.usage.reserved + size_bytes
        if self._capacity_bytes is not None and needed > self._capacity_bytes:
            raise OutOfMemory(
                what=f"{size_bytes:,} bytes do not fit",
                why=f"{self.usage.reserved:,} of {self._capacity_bytes:,} bytes are in use",
            )
        self._next += 1
        self._sizes[self._next] = size_bytes
        self.usage.count(size_bytes, size_bytes, size_bytes)
        return self._next

    def free(self, request: int) -> None:
        """Give a block back; see `Allocator`."""
        size_bytes = self._sizes.pop(request)
        self.usage.count(-size_bytes, -size_bytes, -size_bytes)
