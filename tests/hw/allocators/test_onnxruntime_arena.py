"""Sequences worked out by hand from bfc_arena.cc; regions as a session of ONNX Runtime 1.32 logged them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.allocators.allocator import OutOfMemory
from steelyard.hw.allocators.onnxruntime_arena import ArenaOptions, OnnxRuntimeArena
from steelyard.hw.base.errors import UsageError

KIB, MIB = 2**10, 2**20
SAME = ArenaOptions(arena_extend_strategy="kSameAsRequested")


def sizes(arena: OnnxRuntimeArena) -> list[int]:
    return [sum(size for size, _ in region) for region in arena.regions()]


def test_requests_are_rounded_to_256_bytes_in_a_first_region_of_1_mib():
    arena = OnnxRuntimeArena()
    arena.malloc(1)
    arena.malloc(257)
    assert arena.regions() == [[(256, True), (512, True), (MIB - 768, False)]]
    assert arena.usage.requested == 258


def test_regions_double():
    arena = OnnxRuntimeArena()
    for _ in range(4):
        arena.malloc(MIB)
    # 1 MiB, then 2 for the second and third, then 4
    assert sizes(arena) == [MIB, 2 * MIB, 4 * MIB]


def test_a_region_doubles_until_the_request_fits():
    arena = OnnxRuntimeArena()
    arena.malloc(5 * MIB)
    assert sizes(arena) == [8 * MIB]
    arena.malloc(9 * MIB)  # the size that made room is not doubled again
    assert sizes(arena) == [8 * MIB, 16 * MIB]


def test_a_logged_session():
    """Chains of Concat over 1,000, 60,000, 1,000 and 90,000 elements, each freed by the next."""
    arena = OnnxRuntimeArena()
    for elements in (1_000, 60_000, 1_000, 90_000):
        held = None
        for factor in (2, 6, 12, 24, 120):
            made = arena.malloc(4 * elements * factor)
            if held:
                arena.free(held)
            held = made
        result = arena.malloc(4)
        arena.free(held)
        arena.free(result)
    assert sizes(arena) == [MIB, 2 * MIB, 4 * MIB, 8 * MIB, 32 * MIB, 64 * MIB]


def test_regions_double_by_themselves_up_to_a_limit():
    arena = OnnxRuntimeArena(options=ArenaOptions(max_power_of_two_extend_bytes=3 * MIB))
    for _ in range(4):
        arena.malloc(2 * MIB)
    assert sizes(arena) == [2 * MIB, 2 * MIB, 3 * MIB, 3 * MIB]


def test_regions_as_large_as_the_request():
    arena = OnnxRuntimeArena(options=SAME)
    arena.malloc(8000)
    arena.malloc(24_000)
    assert sizes(arena) == [8192, 24_064]


def test_a_block_is_split_from_twice_the_request_on():
    arena = OnnxRuntimeArena(options=SAME)
    arena.free(arena.malloc(1024))
    arena.malloc(768)  # 256 bytes would be left, which stay inside
    assert arena.regions() == [[(1024, True)]]
    arena.free(1 + 1)
    arena.malloc(512)
    assert arena.regions() == [[(512, True), (512, False)]]


def test_a_block_that_would_waste_too_much_is_split():
    options = ArenaOptions(arena_extend_strategy="kSameAsRequested", max_dead_bytes_per_chunk=4 * KIB)
    arena = OnnxRuntimeArena(options=options)
    arena.free(arena.malloc(20 * KIB))
    arena.malloc(15 * KIB)
    assert arena.regions() == [[(15 * KIB, True), (5 * KIB, False)]]


def test_the_best_fit_is_taken_and_neighbours_merge():
    arena = OnnxRuntimeArena()
    first, second, third = (arena.malloc(200 * KIB) for _ in range(3))
    arena.free(first)
    arena.free(third)  # merges with the rest of the region
    assert [size // KIB for size, _ in arena.regions()[0]] == [200, 200, 624]
    arena.malloc(150 * KIB)
    assert arena.regions()[0][0] == (200 * KIB, True)
    arena.free(second)
    assert [size // KIB for size, _ in arena.regions()[0]] == [200, 824]


def test_regions_do_not_merge():
    arena = OnnxRuntimeArena(options=SAME)
    for request in [arena.malloc(KIB), arena.malloc(KIB)]:
        arena.free(request)
    arena.malloc(2 * KIB)
    assert sizes(arena) == [KIB, KIB, 2 * KIB]


def test_where_the_device_has_less_than_the_next_power_of_two_a_smaller_region_is_tried():
    arena = OnnxRuntimeArena(capacity_bytes=15 * MIB)
    arena.malloc(9 * MIB)
    assert sizes(arena) == [15_099_648]  # 0.9 of 16 MiB, rounded up to 256 bytes
    with pytest.raises(OutOfMemory, match="does not fit"):
        arena.malloc(9 * MIB)


@pytest.mark.parametrize("wrong", [{"arena_extend_strategy": "kDouble"}, {"initial_chunk_size_bytes": 0}])
def test_options_that_make_no_arena(wrong):
    with pytest.raises(UsageError, match="must be"):
        ArenaOptions(**wrong)


SIZES = st.integers(0, 8 * MIB) | st.integers(0, 64 * KIB)


@given(
    st.lists(st.tuples(SIZES, st.booleans()), max_size=60),
    st.sampled_from([ArenaOptions(), SAME, ArenaOptions(max_dead_bytes_per_chunk=MIB)]),
)
def test_laws(steps, options):
    """Nothing overlaps, nothing is lost, and what is asked for fits into what is allocated and reserved."""
    arena = OnnxRuntimeArena(options=options)
    held: dict[int, int] = {}
    for size, gives_back in steps:
        held[arena.malloc(size)] = size
        if gives_back:
            request = next(iter(held))
            del held[request]
            arena.free(request)
        usage, blocks = arena.usage, [block for region in arena.regions() for block in region]
        assert usage.requested == sum(held.values())
        assert sum(size for size, used in blocks if used) == usage.allocated >= usage.requested
        assert sum(size for size, _ in blocks) == usage.reserved >= usage.allocated
    for request in held:
        arena.free(request)
    assert arena.usage.allocated == 0
    assert all(len(region) == 1 for region in arena.regions())  # all merged
