"""The heap of glibc's malloc, and which of its pages the operating system has to supply anew."""

from bisect import bisect_left, insort
from dataclasses import dataclass, field

PAGE_BYTES = 4096
MOST_KEPT_BYTES = 2**25
"""A larger request is mapped anew every time, and given back at once (DEFAULT_MMAP_THRESHOLD_MAX)."""
_FIRST_THRESHOLD_BYTES = 2**17
_TOP_PAD_BYTES = 2**17
_TRIMMED_FROM_BYTES = 2**16
_HEADER_BYTES, _LEAST_CHUNK_BYTES = 16, 32


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the heap, or a mapping of its own where there is no address."""

    address: int | None
    bytes: int


@dataclass(slots=True)
class GlibcHeap:
    """The main arena of malloc for large requests, as in malloc/malloc.c of glibc 2.36.

    A free chunk that fits best serves a request, then the top of the heap, which grows by what is missing and
    128 KiB. A request from the mapping threshold on that no free chunk serves is mapped by itself; when it is
    freed, the threshold becomes its size (at most 32 MiB), and a top of more than twice that is trimmed
    to 128 KiB from then on. What is mapped, and the top after it was trimmed, are pages that fault when they
    are written; a free chunk keeps its pages.

    Attributes:
        fresh_bytes: How much of what was handed out so far was on pages that nothing had written.
    """

    fresh_bytes: int = 0
    _map_from: int = _FIRST_THRESHOLD_BYTES
    _trim_from: int = _FIRST_THRESHOLD_BYTES
    _top: int = 0
    _end: int = 0
    _written: int = 0
    _starts: dict[int, int] = field(default_factory=dict[int, int])
    """Free chunks: the bytes by address; `_stops` has the address by where they end."""
    _stops: dict[int, int] = field(default_factory=dict[int, int])
    _by_bytes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def malloc(self, size_bytes: int, alignment: int = 64) -> Chunk:
        """Serve a request, aligned as posix_memalign does: from a chunk that is larger by as much."""
        needed = _aligned(size_bytes + alignment + _LEAST_CHUNK_BYTES, _HEADER_BYTES)
        place = bisect_left(self._by_bytes, (needed, 0))
        if place < len(self._by_bytes):
            found_bytes, address = self._by_bytes[place]
            self._take(address)
            if found_bytes - needed >= _LEAST_CHUNK_BYTES:
                self._keep(address + needed, found_bytes - needed)
            else:
                needed = found_bytes
        elif needed >= self._map_from and self._end - self._top < needed:
            mapped = _aligned(needed + _HEADER_BYTES // 2, PAGE_BYTES)
            self.fresh_bytes += mapped
            return Chunk(None, mapped)
        else:
            address = self._top
            self._top += needed
            if self._top + _LEAST_CHUNK_BYTES > self._end:
                self._end = _aligned(self._top + _LEAST_CHUNK_BYTES + _TOP_PAD_BYTES, PAGE_BYTES)
        self.fresh_bytes += max(0, address + needed - max(address, self._written))
        self._written = max(self._written, address + needed)
        return Chunk(address, needed)

    def free(self, chunk: Chunk) -> None:
        """Take a chunk back; each only once."""
        if chunk.address is None:
            if self._map_from < chunk.bytes <= MOST_KEPT_BYTES:
                self._map_from, self._trim_from = chunk.bytes, 2 * chunk.bytes
            return
        start, stop = chunk.address, chunk.address + chunk.bytes
        if stop in self._starts:
            stop += self._take(stop)
        if start in self._stops:
            start = self._stops[start]
            self._take(start)
        if stop == self._top:
            self._top = start
        else:
            self._keep(start, stop - start)
        if stop - start >= _TRIMMED_FROM_BYTES and self._end - self._top >= self._trim_from:
            self._end = _aligned(self._top + _LEAST_CHUNK_BYTES + _TOP_PAD_BYTES, PAGE_BYTES)
            self._written = min(self._written, self._end)

    def pin(self, size_bytes: int) -> None:
        """Serve a small request at the top that is never freed: the heap is not trimmed below it."""
        self._top += size_bytes
        self._end = max(self._end, _aligned(self._top, PAGE_BYTES))

    def _keep(self, address: int, size_bytes: int) -> None:
        self._starts[address], self._stops[address + size_bytes] = size_bytes, address
        insort(self._by_bytes, (size_bytes, address))

    def _take(self, address: int) -> int:
        size_bytes = self._starts.pop(address)
        del self._stops[address + size_bytes]
        del self._by_bytes[bisect_left(self._by_bytes, (size_bytes, address))]
        return size_bytes


def _aligned(size_bytes: int, to_bytes: int) -> int:
    return -(-size_bytes // to_bytes) * to_bytes
