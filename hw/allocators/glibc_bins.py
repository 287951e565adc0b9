"""The free chunks of an arena of glibc's malloc that join their neighbours, and which serves a request."""

from bisect import bisect_left, insort
from dataclasses import dataclass, field

LEAST_CHUNK_BYTES = 32
FIRST_LARGE_BYTES = 1024
"""From this size on a bin holds chunks of several sizes, in their order."""
_BINS = ((6, 48, 48), (9, 20, 91), (12, 10, 110), (15, 4, 119), (18, 2, 124))
"""By how many bits a size is shifted, up to which value, and what is added: largebin_index_64."""
_LAST_BIN = 126


@dataclass(slots=True)
class GlibcBins:
    """The unsorted list and the bins of `_int_malloc` in malloc/malloc.c of glibc 2.26 to 2.37.

    What is freed, and what is left of a chunk that served a request, waits unsorted, the oldest first. A
    request takes a chunk of its very size from there and puts the others that it meets into the bins; else
    the smallest chunk that is large enough serves it. Of small chunks of one size the oldest is taken. Of
    large ones the newest comes second in their list, behind the oldest; the second is taken from the bin of
    the request, the last from another.
    """

    _unsorted: dict[int, int] = field(default_factory=dict[int, int])
    """Bytes by address, the oldest first."""
    _binned: dict[int, int] = field(default_factory=dict[int, int])
    _starts: dict[int, int] = field(default_factory=dict[int, int])
    """Where the chunk starts that ends at an address, unsorted or not."""
    _sizes: list[int] = field(default_factory=list[int])
    """Sizes of which there are chunks in the bins, in order."""
    _of_size: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    _last_remainder: int | None = None

    def join(self, start: int, size_bytes: int) -> tuple[int, int]:
        """Take the free neighbours of a chunk; return the start and the bytes of all together."""
        before = self._starts.get(start)
        if before is not None:
            size_bytes += self._remove(before)
            start = before
        if start + size_bytes in self._unsorted or start + size_bytes in self._binned:
            size_bytes += self._remove(start + size_bytes)
        return start, size_bytes

    def wait(self, start: int, size_bytes: int) -> None:
        """Put a chunk whose neighbours are in use at the end of the unsorted list."""
        self._unsorted[start] = size_bytes
        self._starts[start + size_bytes] = start

    def oldest(self, size_bytes: int) -> int | None:
        """Take the oldest chunk of exactly a small size from its bin."""
        starts = self._of_size.get(size_bytes) if size_bytes < FIRST_LARGE_BYTES else None
        if not starts:
            return None
        start = starts[0]
        self._remove(start)
        return start

    def exact(self, size_bytes: int) -> int | None:
        """Take the oldest chunk of exactly this size that waits; what has waited longer goes to the bins."""
        while self._unsorted and self._lone_remainder(size_bytes) is None:
            start, found_bytes = next(iter(self._unsorted.items()))
            self._remove(start)
            if found_bytes == size_bytes:
                return start
            self._bin(start, found_bytes)
        return None

    def cut_remainder(self, size_bytes: int) -> int | None:
        """Take a small chunk from what the last small request left, where nothing else waits."""
        start = self._lone_remainder(size_bytes)
        if start is not None:
            self._cut(start, size_bytes)
        return start

    def best(self, size_bytes: int) -> tuple[int, int] | None:
        """Take the chunk from the bins that fits best; what it has to spare waits if it can be a chunk."""
        place = bisect_left(self._sizes, size_bytes)
        if place == len(self._sizes):
            return None
        found_bytes = self._sizes[place]
        starts = self._of_size[found_bytes]
        if found_bytes < FIRST_LARGE_BYTES:
            start = starts[0]
        elif _bin_number(found_bytes) == _bin_number(size_bytes):
            start = starts[min(1, len(starts) - 1)]
        else:
            start = starts[-1]
        if found_bytes - size_bytes < LEAST_CHUNK_BYTES:
            self._remove(start)
            return start, found_bytes
        self._cut(start, size_bytes)
        return start, size_bytes

    def _lone_remainder(self, size_bytes: int) -> int | None:
        start = self._last_remainder
        if size_bytes >= FIRST_LARGE_BYTES or len(self._unsorted) != 1 or start not in self._unsorted:
            return None
        return start if self._unsorted[start] > size_bytes + LEAST_CHUNK_BYTES else None

    def _cut(self, start: int, size_bytes: int) -> None:
        """Take the first bytes of a chunk; the rest waits."""
        rest_bytes = self._remove(start) - size_bytes
        self.wait(start + size_bytes, rest_bytes)
        if size_bytes < FIRST_LARGE_BYTES:
            self._last_remainder = start + size_bytes

    def _bin(self, start: int, size_bytes: int) -> None:
        starts = self._of_size.setdefault(size_bytes, [])
        if not starts:
            insort(self._sizes, size_bytes)
        starts.insert(1 if size_bytes >= FIRST_LARGE_BYTES else len(starts), start)
        self._binned[start] = size_bytes
        self._starts[start + size_bytes] = start

    def _remove(self, start: int) -> int:
        size_bytes = self._unsorted.pop(start, None)
        if size_bytes is None:
            size_bytes = self._binned.pop(start)
            starts = self._of_size[size_bytes]
            starts.remove(start)
            if not starts:
                del self._sizes[bisect_left(self._sizes, size_bytes)]
        del self._starts[start + size_bytes]
        return size_bytes


def _bin_number(size_bytes: int) -> int:
    for shift, most, added in _BINS:
        if size_bytes >> shift <= most:
            return added + (size_bytes >> shift)
    return _LAST_BIN
