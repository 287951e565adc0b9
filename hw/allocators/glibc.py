"""The heap of glibc's malloc, and which of its pages the operating system has to supply anew."""

from dataclasses import dataclass, field

from steelyard.hw.allocators.glibc_bins import FIRST_LARGE_BYTES, LEAST_CHUNK_BYTES, GlibcBins

PAGE_BYTES = 4096
MOST_KEPT_BYTES = 2**25
"""A larger request is mapped anew every time, and given back at once (DEFAULT_MMAP_THRESHOLD_MAX)."""
_FIRST_THRESHOLD_BYTES = 2**17
_TOP_PAD_BYTES = 2**17
_JOINED_FROM_BYTES = 2**16
"""To free as much joins the fast chunks and looks at the top (FASTBIN_CONSOLIDATION_THRESHOLD)."""
_HEADER_BYTES, _GRAIN_BYTES = 8, 16
_MOST_CACHED_BYTES, _CACHED = 1040, 7
_MOST_FAST_BYTES = 128
_CACHES_BYTES = 640
"""What malloc allocates first of all: the cache of the thread (tcache_perthread_struct)."""


@dataclass(slots=True)
class GlibcHeap:
    """The main arena of malloc and the cache of its thread, as in malloc/malloc.c of glibc 2.26 to 2.37.

    A small request is served from chunks of its size that were freed lately: up to 7 that the thread keeps,
    then the fast ones. Neither joins its neighbours, so that the smallest chunk keeps what lies around it
    apart. Then come the bins, then the top of the heap, which grows by what is missing and 128 KiB. A request
    from the mapping threshold on that none of those serves is mapped by itself; when it is freed, the
    threshold becomes its size (at most 32 MiB), and a top of more than twice that is trimmed to 128 KiB from
    then on. What is mapped, and the top after it was trimmed, are pages that fault when they are written; all
    else keeps its pages.

    Attributes:
        fresh_bytes: How much of what was handed out so far was on pages that nothing had written.
    """

    fresh_bytes: int = 0
    _map_from: int = _FIRST_THRESHOLD_BYTES
    _trim_from: int = _FIRST_THRESHOLD_BYTES
    _top: int = 0
    _end: int = 0
    _written: int = 0
    _bins: GlibcBins = field(default_factory=GlibcBins)
    _cached: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    _fast: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """Chunks by their bytes, the one that is used next last; as `_cached`."""
    _used: dict[int, int] = field(default_factory=dict[int, int])
    _mapped: dict[int, int] = field(default_factory=dict[int, int])
    _num_mapped: int = 0

    def __post_init__(self) -> None:
        self.malloc(_CACHES_BYTES)

    def malloc(self, size_bytes: int) -> int:
        """Serve a request; return where its chunk starts in the heap, below 0 for a mapping of its own."""
        needed = _chunk_bytes(size_bytes)
        if cached := self._cached.get(needed):
            start = cached.pop()
            self._used[start] = needed
            return start
        return self._hand_out(self._find(needed))

    def aligned(self, size_bytes: int, alignment: int) -> int:
        """As `malloc`, as posix_memalign does: what lies before and after in a larger chunk is freed.

        Args:
            size_bytes: The request.
            alignment: A power of two, 32 or more.
        """
        needed = _chunk_bytes(size_bytes)
        start, found_bytes = self._find(_chunk_bytes(needed + alignment + LEAST_CHUNK_BYTES))
        if start < 0:
            return self._hand_out((start, found_bytes))
        lead_bytes = -(start + _GRAIN_BYTES) % alignment
        if lead_bytes:
            lead_bytes += alignment if lead_bytes < LEAST_CHUNK_BYTES else 0
            self._give_back(start, lead_bytes)
            start, found_bytes = start + lead_bytes, found_bytes - lead_bytes
        if found_bytes > needed + LEAST_CHUNK_BYTES:
            self._give_back(start + needed, found_bytes - needed)
            found_bytes = needed
        return self._hand_out((start, found_bytes))

    def free(self, start: int) -> None:
        """Take back what `malloc` or `aligned` returned; each only once."""
        if start >= 0:
            self._give_back(start, self._used.pop(start))
            return
        size_bytes = self._mapped.pop(start)
        if self._map_from < size_bytes <= MOST_KEPT_BYTES:
            self._map_from, self._trim_from = size_bytes, 2 * size_bytes

    def _hand_out(self, chunk: tuple[int, int]) -> int:
        start, size_bytes = chunk
        (self._used if start >= 0 else self._mapped)[start] = size_bytes
        return start

    def _find(self, needed: int) -> tuple[int, int]:
        """`_int_malloc`: a chunk that nothing uses, and its bytes."""
        if (start := self._freed_lately(needed)) is not None:
            return start, needed
        if needed >= FIRST_LARGE_BYTES:
            self._join_fast()
        while True:
            exact = None
            while (start := self._bins.exact(needed)) is not None:
                if not self._cache(start, needed):
                    return start, needed
                exact = start
            if (start := self._bins.cut_remainder(needed)) is not None:
                return start, needed
            if exact is not None:
                return self._cached[needed].pop(), needed
            if (found := self._bins.best(needed)) is not None:
                return found
            if self._end - self._top >= needed + LEAST_CHUNK_BYTES or not self._join_fast():
                return self._from_top(needed)

    def _freed_lately(self, needed: int) -> int | None:
        """A fast or small chunk of just this size; the thread caches others like it on the way."""
        if fast := self._fast.get(needed):
            start = fast.pop()
            while fast and self._cache(fast[-1], needed):
                fast.pop()
            return start
        start = self._bins.oldest(needed)
        if start is not None:
            while len(self._cached.get(needed, ())) < _CACHED:
                another = self._bins.oldest(needed)
                if another is None:
                    break
                self._cache(another, needed)
        return start

    def _from_top(self, needed: int) -> tuple[int, int]:
        """`use_top` and `sysmalloc`."""
        missing = needed + LEAST_CHUNK_BYTES - (self._end - self._top)
        if missing > 0:
            if needed >= self._map_from:
                self._num_mapped += 1
                mapped = _rounded(needed + _HEADER_BYTES, PAGE_BYTES)
                self.fresh_bytes += mapped
                return -self._num_mapped, mapped
            self._end += _rounded(missing + _TOP_PAD_BYTES, PAGE_BYTES)
        start = self._top
        self._top += needed
        self.fresh_bytes += max(0, self._top - max(start, self._written))
        self._written = max(self._written, self._top)
        return start, needed

    def _cache(self, start: int, size_bytes: int) -> bool:
        """Let the thread keep a chunk if it is small, and it has few of its size."""
        if size_bytes > _MOST_CACHED_BYTES:
            return False
        cached = self._cached.setdefault(size_bytes, [])
        if len(cached) >= _CACHED:
            return False
        cached.append(start)
        return True

    def _give_back(self, start: int, size_bytes: int) -> None:
        """`_int_free`."""
        if self._cache(start, size_bytes):
            return
        if size_bytes <= _MOST_FAST_BYTES:
            self._fast.setdefault(size_bytes, []).append(start)
            return
        if self._join(start, size_bytes) >= _JOINED_FROM_BYTES:
            self._join_fast()
            if self._end - self._top >= self._trim_from:
                self._end -= (self._end - self._top - LEAST_CHUNK_BYTES - 1 - _TOP_PAD_BYTES) & -PAGE_BYTES
                self._written = min(self._written, self._end)

    def _join(self, start: int, size_bytes: int) -> int:
        """Free a chunk with its neighbours; return the bytes of all."""
        start, size_bytes = self._bins.join(start, size_bytes)
        if start + size_bytes == self._top:
            self._top = start
            return self._end - start
        self._bins.wait(start, size_bytes)
        return size_bytes

    def _join_fast(self) -> bool:
        """`malloc_consolidate`; return whether there were fast chunks."""
        found = False
        for size_bytes in sorted(self._fast):
            fast = self._fast.pop(size_bytes)
            found = found or bool(fast)
            for start in reversed(fast):
                self._join(start, size_bytes)
        return found


def _chunk_bytes(size_bytes: int) -> int:
    return max(LEAST_CHUNK_BYTES, _rounded(size_bytes + _HEADER_BYTES, _GRAIN_BYTES))


def _rounded(size_bytes: int, to_bytes: int) -> int:
    return -(-size_bytes // to_bytes) * to_bytes
