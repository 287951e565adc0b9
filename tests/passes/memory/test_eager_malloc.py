"""What the small chunks of an eager step do to a heap."""

from steelyard.passes.memory.eager_malloc import EagerHeap

MIB = 2**20


def test_a_result_gets_new_pages_until_the_cache_of_small_chunks_is_full():
    """As `torch.relu` of 1 MiB does in a loop, whose heap grows by 8 MiB and then no more."""
    heap, fresh = EagerHeap(trains=False), list[int]()
    for _ in range(30):
        before = heap.fresh_bytes
        heap.begin("forward")
        heap.free(heap.tensor(MIB, "forward"))
        heap.end_step()
        fresh.append(heap.fresh_bytes - before)
    assert all(size >= MIB for size in fresh[:5])
    assert not any(fresh[10:])


def test_a_new_kernel_leaves_ten_kilobytes_of_each_of_four_primitives():
    known, new = EagerHeap(trains=False), EagerHeap(trains=False)
    for heap in (known, new):
        heap.converted(100_000, "forward", [], 0, is_new=heap is new)
    assert 40_000 < new.fresh_bytes - known.fresh_bytes < 44_000


def test_the_engine_of_autograd_leaves_a_kilobyte():
    heap = EagerHeap(trains=True)
    before = heap.fresh_bytes
    heap.keep_engine()
    assert 1_000 < heap.fresh_bytes - before < 1_400
