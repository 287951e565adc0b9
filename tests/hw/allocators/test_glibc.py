"""The heap of malloc: hand arithmetic of its rules, laws, and the places that malloc chooses here."""

import platform
import random
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.allocators.glibc import PAGE_BYTES, GlibcHeap

MIB = 2**20
SMALL = (24, 40, 96, 176, 184, 488, 1_000, 2_000, 5_000)


def fresh(heap: GlibcHeap, size_bytes: int) -> int:
    """Bytes of fresh pages that a request gets; it is freed again."""
    before = heap.fresh_bytes
    heap.free(heap.malloc(size_bytes))
    return heap.fresh_bytes - before


def four_of_a_mebibyte(heap: GlibcHeap) -> list[int]:
    """Chunks of the heap, of nearly as much as the largest that was mapped."""
    heap.free(heap.malloc(MIB))
    return [heap.malloc(MIB - PAGE_BYTES) for _ in range(4)]


def test_what_is_above_the_limit_is_mapped_anew_every_time():
    heap = GlibcHeap()
    assert [fresh(heap, 33 * MIB) for _ in range(3)] == [33 * MIB + PAGE_BYTES] * 3


def test_what_was_mapped_once_comes_from_the_heap_afterwards():
    heap = GlibcHeap()
    assert fresh(heap, MIB) == MIB + PAGE_BYTES
    assert fresh(heap, MIB) == MIB + 16  # 8 bytes of header, in whole 16
    assert fresh(heap, MIB) == 0  # the threshold is 1 MiB and a page, the top is kept up to twice that


def test_a_top_above_twice_the_threshold_is_given_back():
    heap = GlibcHeap()
    for place in four_of_a_mebibyte(heap):
        heap.free(place)
    # The last one joins them all; of the top 128 KiB and 32 bytes are kept, in whole pages.
    before = heap.fresh_bytes
    for _ in range(4):
        heap.malloc(MIB - PAGE_BYTES)
    # They begin behind the 656 bytes of the cache; each has a header, in whole 16 bytes.
    assert heap.fresh_bytes - before == 656 + 4 * (MIB - PAGE_BYTES + 16) - 33 * PAGE_BYTES


@pytest.mark.parametrize("keep", [True, False], ids=["in use", "freed, in the cache"])
def test_a_small_chunk_at_the_top_keeps_what_lies_below(keep: bool):
    heap = GlibcHeap()
    places, last = four_of_a_mebibyte(heap), heap.malloc(100)
    if not keep:
        heap.free(last)
    for place in places:
        heap.free(place)
    before = heap.fresh_bytes
    for _ in places:
        heap.malloc(MIB - PAGE_BYTES)
    assert heap.fresh_bytes == before


@pytest.mark.parametrize("is_full", [True, False])
def test_slivers_beside_aligned_data_join_it_unless_the_cache_takes_them(is_full: bool):
    heap = GlibcHeap()
    places = [heap.malloc(16 * k + 8) for k in range(1, 8) for _ in range(7)]
    if is_full:
        for place in places:
            heap.free(place)
    data = heap.aligned(100_000, 64)
    heap.malloc(2_000)
    heap.free(data)
    assert (heap.aligned(100_000, 64) == data) == is_full


def test_the_chunk_that_fits_best_is_taken_and_neighbours_are_joined():
    heap = GlibcHeap()
    first, _, third, fourth, _ = (heap.malloc(size) for size in (40_000, 20_000, 30_000, 20_000, 10_000))
    heap.free(first)
    heap.free(third)
    assert heap.malloc(25_000) == third
    heap.free(fourth)  # joins the 5 kB that are left of the third
    assert heap.malloc(24_000) == third + 25_008
    assert heap.malloc(39_000) == first


@given(
    st.lists(st.tuples(st.integers(1, 3 * MIB) | st.integers(1, 2000), st.integers(0, 30)), max_size=80),
    st.randoms(use_true_random=False),
)
def test_chunks_do_not_overlap_and_what_is_freed_serves_again(
    steps: list[tuple[int, int]], chance: random.Random
):
    heap, alive = GlibcHeap(), list[tuple[int, int]]()
    for size, keep in steps:
        alive.append((heap.malloc(size) if chance.random() < 0.5 else heap.aligned(size, 64), size))
        while len(alive) > keep:
            heap.free(alive.pop(chance.randrange(len(alive)))[0])
        spans = sorted((start, start + size) for start, size in alive if start >= 0)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(spans))
    for start, _ in alive:
        heap.free(start)
    assert heap.malloc(100) < 656 + 4 * MIB


REPLAY = r"""
#include <stdio.h>
#include <stdlib.h>
static char in[1 << 16], out[1 << 16];
static char *places[4096], *base;
int main(void) {
    long number, size;
    char what;
    setvbuf(stdin, in, _IOFBF, sizeof in);
    setvbuf(stdout, out, _IOFBF, sizeof out);
    while (scanf(" %c %ld %ld", &what, &number, &size) == 3) {
        if (what == 'f') {
            free(places[number]);
            continue;
        }
        if (what == 'm') places[number] = malloc(size);
        else if (posix_memalign((void **)&places[number], 64, size)) return 1;
        if (!base) base = places[number];
        printf("%ld\n", (long)(places[number] - base));
    }
    return 0;
}
"""
"""Serves m (malloc), a (aligned) and f (free) of numbered chunks; prints how far each is from the first."""


@pytest.fixture(scope="module")
def real_malloc(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], list[int]]:
    """Where the malloc of this machine places what it is asked for."""
    library, version = platform.libc_ver()
    release = tuple(map(int, version.split("."))) if library == "glibc" else ()
    compiler = shutil.which("cc")
    if not (2, 26) <= release < (2, 38) or platform.machine() != "x86_64" or compiler is None:
        pytest.skip("the rules are those of glibc 2.26 to 2.37 on x86-64; a C compiler must be there")
    folder: Path = tmp_path_factory.mktemp("malloc")
    (folder / "replay.c").write_text(REPLAY)
    subprocess.run([compiler, "-fno-builtin", "-o", folder / "replay", folder / "replay.c"], check=True)

    def places(lines: list[str]) -> list[int]:
        run = subprocess.run(
            [folder / "replay"], input="\n".join(lines), text=True, capture_output=True, check=True, env={}
        )
        return [int(line) for line in run.stdout.split()]

    return places


@pytest.mark.parametrize("typical_bytes", [200, 2_000, 100_000, 300_000, 3_000_000])
@pytest.mark.parametrize("seed", range(4))
def test_this_machine_places_every_chunk_there(
    real_malloc: Callable[[list[str]], list[int]], typical_bytes: int, seed: int
):
    chance, heap = random.Random(seed), GlibcHeap()
    lines, starts, alive = ["m 0 24"], [heap.malloc(24)], list[tuple[int, int]]()
    for number in range(1, 1500):
        if alive and chance.random() < 0.48:
            freed, start = alive.pop(chance.randrange(len(alive)))
            lines.append(f"f {freed} 0")
            heap.free(start)
            continue
        large = chance.random() < 0.4
        size = 1 + int(min(40e6, chance.expovariate(1 / typical_bytes))) if large else chance.choice(SMALL)
        what = chance.choice("ma")
        lines.append(f"{what} {number} {size}")
        starts.append(heap.malloc(size) if what == "m" else heap.aligned(size, 64))
        alive.append((number, starts[-1]))
    found = [place if abs(place) < 2**40 else None for place in real_malloc(lines)]
    assert found == [start - starts[0] if start >= 0 else None for start in starts]
