"""The heap of malloc: hand arithmetic of its rules, laws, and the malloc of this machine."""

import ctypes
import os
import platform
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.allocators.glibc import PAGE_BYTES, Chunk, GlibcHeap

MIB = 2**20


def fresh(heap: GlibcHeap, size_bytes: int) -> tuple[Chunk, int]:
    before = heap.fresh_bytes
    return heap.malloc(size_bytes), heap.fresh_bytes - before


def test_what_is_above_the_limit_is_mapped_anew_every_time():
    heap = GlibcHeap()
    for _ in range(3):
        chunk, got = fresh(heap, 33 * MIB)
        assert chunk.address is None
        assert got == 33 * MIB + PAGE_BYTES
        heap.free(chunk)


def test_what_was_mapped_once_comes_from_the_heap_afterwards():
    heap = GlibcHeap()
    first, got = fresh(heap, MIB)
    assert (first.address, got) == (None, MIB + PAGE_BYTES)
    heap.free(first)
    second, got = fresh(heap, MIB)
    assert (second.address, got) == (0, second.bytes)
    heap.free(second)  # the threshold is 1 MiB and a page, the top is kept up to twice that
    assert fresh(heap, MIB)[1] == 0


def test_a_top_above_twice_the_threshold_is_given_back():
    heap = GlibcHeap()
    heap.free(heap.malloc(MIB))
    chunks = [heap.malloc(MIB - PAGE_BYTES) for _ in range(4)]
    for chunk in chunks:
        heap.free(chunk)
    # The last one joins them all; of the top 128 KiB and 32 bytes are kept, in whole pages.
    before = heap.fresh_bytes
    for _ in chunks:
        heap.malloc(MIB - PAGE_BYTES)
    assert heap.fresh_bytes - before == 4 * (MIB - PAGE_BYTES + 96) - 33 * PAGE_BYTES


def test_nothing_is_given_back_below_what_stays():
    heap = GlibcHeap()
    heap.free(heap.malloc(MIB))
    chunks = [heap.malloc(MIB - PAGE_BYTES) for _ in range(4)]
    heap.pin(256)
    for chunk in chunks:
        heap.free(chunk)
    assert all(fresh(heap, MIB - PAGE_BYTES)[1] == 0 for _ in range(4))


def test_the_chunk_that_fits_best_is_taken_and_neighbours_are_joined():
    heap = GlibcHeap()
    sizes = (40_000, 20_000, 30_000, 20_000, 10_000)
    first, _, third, fourth, _ = (heap.malloc(size) for size in sizes)
    heap.free(first)
    heap.free(third)
    assert heap.malloc(25_000).address == third.address
    heap.free(fourth)  # joins the 5 kB that are left of the third
    assert heap.malloc(24_000).address == (third.address or 0) + 25_000 + 96 + 8
    assert heap.malloc(39_000).address == first.address


@given(st.lists(st.tuples(st.integers(1, 3 * MIB), st.integers(0, 8)), max_size=60))
def test_chunks_do_not_overlap_and_a_heap_without_any_is_empty(steps: list[tuple[int, int]]):
    heap, alive = GlibcHeap(), list[Chunk]()
    for size, keep in steps:
        alive.append(heap.malloc(size))
        while len(alive) > keep:
            heap.free(alive.pop(0))
        spans = sorted((c.address, c.address + c.bytes) for c in alive if c.address is not None)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(spans))
        assert all(chunk.bytes >= size for chunk in alive[-1:])
    for chunk in alive:
        heap.free(chunk)
    everything = heap.malloc(100)
    assert everything.address in {0, None}


SIZES = [MIB, 33 * MIB, 2 * MIB, 2 * MIB, 5 * MIB, 4 * MIB, 33 * MIB, 24 * MIB, 20 * MIB, MIB]
REAL = f"""
import ctypes
libc = ctypes.CDLL("libc.so.6")
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
        "keepcost",
    )]
libc.mallinfo2.restype = Info
libc.free.argtypes = [ctypes.c_void_p]
for size in {SIZES}:
    place, before = ctypes.c_void_p(), libc.mallinfo2().hblkhd
    assert libc.posix_memalign(ctypes.byref(place), 64, size) == 0
    print(libc.mallinfo2().hblkhd - before)
    libc.free(place)
"""


def test_this_machine_maps_the_same_requests():
    if platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("the C library is not a glibc that tells what it maps (2.33)")
    tunables = ("MALLOC_", "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(tunables)}
    run = subprocess.run([sys.executable, "-c", REAL], capture_output=True, check=True, env=environment)
    mapped = [int(line) for line in run.stdout.split()]
    heap, expected = GlibcHeap(), list[int]()
    for size in SIZES:
        chunk = heap.malloc(size)
        expected.append(chunk.bytes if chunk.address is None else 0)
        heap.free(chunk)
    assert mapped == expected
