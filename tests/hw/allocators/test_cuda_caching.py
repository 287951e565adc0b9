import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.allocators.allocator import OutOfMemory
from steelyard.hw.allocators.cuda_caching import CudaCachingAllocator, round_size
from steelyard.hw.allocators.cuda_options import CudaOptions

KIB, MIB = 2**10, 2**20


def test_sizes_are_rounded_to_512_bytes():
    assert [round_size(n) for n in (1, 512, 513, 1_000_000)] == [512, 512, 1024, 1_000_448]


def test_sizes_are_rounded_to_parts_of_a_power_of_two():
    assert round_size(1200, 4) == 1536  # up to 512 x 4 bytes the divisions do not count
    assert round_size(4800, 4) == 5120
    assert round_size(4096, 4) == 4096


def test_small_requests_share_a_segment_of_2_mib():
    allocator = CudaCachingAllocator()
    for _ in range(4):
        allocator.malloc(300 * KIB)
    assert allocator.segments() == [[(300 * KIB, True)] * 4 + [(848 * KIB, False)]]
    allocator.malloc(900 * KIB)  # does not fit into the rest
    assert allocator.usage.reserved == 4 * MIB
    assert allocator.usage.allocated == 2100 * KIB


@pytest.mark.parametrize(
    ("request_bytes", "segment"),
    [
        (1, 2 * MIB),
        (MIB, 2 * MIB),
        (MIB + 1, 20 * MIB),
        (10 * MIB - 512, 20 * MIB),
        (10 * MIB - 1, 10 * MIB),
        (11 * MIB, 12 * MIB),
    ],
)
def test_segment_of_a_request(request_bytes, segment):
    allocator = CudaCachingAllocator()
    allocator.malloc(request_bytes)
    assert allocator.usage.reserved == segment


def test_a_large_block_is_split_only_if_more_than_1_mib_is_left():
    allocator = CudaCachingAllocator()
    allocator.malloc(19 * MIB)  # a segment of 20 MiB, whose rest of 1 MiB stays inside
    assert allocator.usage.allocated == 20 * MIB
    allocator.malloc(5 * MIB)  # one of 20 MiB, of which 15 are left
    assert allocator.segments() == [[(20 * MIB, True)], [(5 * MIB, True), (15 * MIB, False)]]


def test_the_best_fit_is_reused_and_neighbours_merge():
    allocator = CudaCachingAllocator()
    first, second, third = (allocator.malloc(6 * MIB) for _ in range(3))  # 6 + 6 + 6 + 2 of one segment
    allocator.free(first)
    allocator.free(third)
    assert allocator.segments() == [[(6 * MIB, False), (6 * MIB, True), (8 * MIB, False)]]
    fourth = allocator.malloc(6 * MIB)  # the first gap is the smaller one
    assert allocator.segments() == [[(6 * MIB, True), (6 * MIB, True), (8 * MIB, False)]]
    allocator.free(second)
    assert allocator.segments() == [[(6 * MIB, True), (14 * MIB, False)]]
    allocator.free(fourth)
    assert allocator.segments() == [[(20 * MIB, False)]]
    assert allocator.usage.reserved == 20 * MIB
    allocator.empty_cache()
    assert allocator.usage.reserved == 0


def test_streams_do_not_share_blocks():
    allocator = CudaCachingAllocator()
    allocator.free(allocator.malloc(MIB, stream=0))
    allocator.malloc(MIB, stream=1)
    assert allocator.usage.reserved == 4 * MIB


def test_cached_segments_are_given_back_before_it_fails():
    allocator = CudaCachingAllocator(capacity_bytes=100 * MIB)
    allocator.free(allocator.malloc(60 * MIB))
    allocator.malloc(80 * MIB)
    assert allocator.usage.reserved == 80 * MIB
    assert allocator.usage.peak_reserved == 80 * MIB
    with pytest.raises(OutOfMemory, match="31,457,280 bytes does not fit"):
        allocator.malloc(30 * MIB)


def test_gaps_are_not_given_back():
    """20 MiB are free, but in two segments of which a part is in use."""
    allocator = CudaCachingAllocator(capacity_bytes=60 * MIB)
    held = [allocator.malloc(10 * MIB - 512) for _ in range(6)]
    for each in held[::2]:
        allocator.free(each)
    with pytest.raises(OutOfMemory, match="lie in gaps"):
        allocator.malloc(30 * MIB)


def test_a_limit_on_splitting_keeps_large_blocks_whole():
    allocator = CudaCachingAllocator(options=CudaOptions(max_split_size_mb=32))
    allocator.free(allocator.malloc(64 * MIB))
    allocator.malloc(20 * MIB)
    assert allocator.segments() == [[(64 * MIB, False)], [(20 * MIB, True)]]
    allocator.malloc(50 * MIB)  # not much smaller than 64 MiB: taken whole
    assert allocator.segments()[0] == [(64 * MIB, True)]


def test_a_block_above_the_limit_may_be_so_much_larger():
    options = CudaOptions(max_split_size_mb=32, max_non_split_rounding_mb=40)
    allocator = CudaCachingAllocator(options=options)
    allocator.free(allocator.malloc(64 * MIB))
    allocator.malloc(34 * MIB)  # 30 MiB are left, which the default of 20 would not allow
    assert allocator.segments() == [[(64 * MIB, True)]]


def test_expandable_segments_grow_by_pages():
    allocator = CudaCachingAllocator(options=CudaOptions(expandable_segments=True))
    first = allocator.malloc(30 * MIB)
    assert allocator.usage.reserved == 40 * MIB
    second = allocator.malloc(30 * MIB)  # 10 MiB are mapped already, one more page is needed
    assert allocator.usage.reserved == 60 * MIB
    allocator.free(first)
    allocator.malloc(40 * MIB)  # the gap is too small: behind the end
    assert allocator.usage.reserved == 100 * MIB
    assert [size // MIB for size, _ in allocator.segments()[0]] == [30, 30, 40]
    allocator.empty_cache()  # one whole page of the gap
    assert allocator.usage.reserved == 80 * MIB
    allocator.free(second)
    assert allocator.usage.allocated == 40 * MIB


def test_expandable_segments_fill_a_gap_that_was_unmapped():
    allocator = CudaCachingAllocator(options=CudaOptions(expandable_segments=True))
    first = allocator.malloc(40 * MIB)
    allocator.malloc(20 * MIB)
    allocator.free(first)
    allocator.empty_cache()
    assert allocator.usage.reserved == 20 * MIB
    allocator.malloc(40 * MIB)
    assert [size // MIB for size, _ in allocator.segments()[0]] == [40, 20]


def test_garbage_collection_gives_back_what_was_not_used_for_long():
    options = CudaOptions(garbage_collection_threshold=0.5)
    allocator = CudaCachingAllocator(capacity_bytes=100 * MIB, options=options)
    old, new = allocator.malloc(30 * MIB), allocator.malloc(28 * MIB)
    allocator.free(old)
    allocator.malloc(1)  # 58 MiB are reserved, more than 50: the 30 MiB go before 2 are taken
    assert allocator.usage.reserved == (28 + 2) * MIB
    allocator.malloc(22 * MIB)  # 30 MiB are below the threshold
    allocator.free(new)
    allocator.malloc(40 * MIB)  # 52 are above it
    assert allocator.usage.reserved == (2 + 22 + 40) * MIB


SIZES = st.integers(0, 64 * MIB) | st.integers(0, 2 * MIB)
OPTIONS = st.sampled_from(
    [CudaOptions(), CudaOptions(expandable_segments=True), CudaOptions(max_split_size_mb=32)]
)


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=60), OPTIONS)
def test_laws(steps, options):
    """Nothing overlaps, nothing is lost, and what is asked for fits into what is allocated and reserved."""
    allocator = CudaCachingAllocator(options=options)
    held: dict[int, int] = {}
    for size, gives_back in steps:
        held[allocator.malloc(size)] = size
        if gives_back:
            request = next(iter(held))
            del held[request]
            allocator.free(request)
        usage, blocks = allocator.usage, [b for run in allocator.segments() for b in run]
        assert usage.requested == sum(held.values())
        assert sum(size for size, used in blocks if used) == usage.allocated >= usage.requested
        assert sum(size for size, _ in blocks) == usage.reserved >= usage.allocated
    for request in held:
        allocator.free(request)
    allocator.empty_cache()
    assert (usage := allocator.usage).requested == usage.allocated == usage.reserved == 0
    assert usage.peak_reserved >= usage.peak_allocated >= usage.peak_requested
