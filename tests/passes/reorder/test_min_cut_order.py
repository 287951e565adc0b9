from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.passes.reorder.memory_graph import Buffer, MemoryGraph
from steelyard.passes.reorder.min_cut_order import order_for_memory


@st.composite
def graphs(draw: st.DrawFn, most: int = 6) -> MemoryGraph:
    """Graphs of a few ops, each of which makes a buffer and uses some that are there."""
    buffers = [Buffer(draw(st.integers(0, 5)), -1, set(), draw(st.booleans())) for _ in range(2)]
    before: list[set[int]] = []
    own_bytes: list[int] = []
    for op in range(draw(st.integers(0, most))):
        used = draw(st.lists(st.sampled_from(buffers), max_size=3))
        for buffer in used:
            buffer.users.add(op)
        before.append({buffer.maker for buffer in used if buffer.maker >= 0})
        made = Buffer(draw(st.integers(0, 5)), op, set(), draw(st.integers(0, 4)) == 0)
        buffers.append(made)
        own_bytes.append(made.bytes + draw(st.integers(0, 3)))
    return MemoryGraph(sum(each.bytes for each in buffers[:2]), own_bytes, buffers, before)


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_the_bound_is_below_the_best_of_all_orders_and_the_order_is_above(graph: MemoryGraph) -> None:
    found = order_for_memory(graph)
    original = range(len(graph.before))
    orders = [order for order in permutations(original) if graph.is_valid(order)]
    best = min(max(graph.tops(order), default=graph.start_bytes) for order in orders)
    assert graph.is_valid(found.ops)
    assert found.bound_bytes <= best <= found.peak_bytes
    assert found.peak_bytes <= max(graph.tops(original), default=graph.start_bytes)


def test_an_op_that_makes_much_waits_until_that_is_needed() -> None:
    # 0 makes 10 bytes for 3; 1 and 2 pass on 8 bytes.
    buffers = [Buffer(10, 0, {3}, False), Buffer(8, 1, {2}, False), Buffer(1, 2, {3}, False)]
    graph = MemoryGraph(0, [10, 8, 1, 0], buffers, [set(), set(), {1}, {0, 2}])
    assert graph.tops([0, 1, 2, 3]) == [10, 18, 19, 11]
    found = order_for_memory(graph)
    assert found.ops == [1, 2, 0, 3]
    assert found.peak_bytes == found.bound_bytes == 11


def test_an_order_that_lacks_an_op_or_breaks_a_dependency_is_not_valid() -> None:
    graph = MemoryGraph(0, [0, 0, 0], [], [set(), {0}, set()])
    assert graph.is_valid([2, 0, 1])
    assert not graph.is_valid([1, 0, 2])
    assert not graph.is_valid([0, 1])
    assert not graph.is_valid([0, 1, 1])


def test_every_part_with_a_high_peak_is_cut() -> None:
    # Like the graph before, three times in a row; each part can be mended only by a cut of its own.
    buffers: list[Buffer] = []
    before: list[set[int]] = []
    own_bytes: list[int] = []
    for first, size in ((0, 10), (4, 9), (8, 8)):
        waste, large, small, last = range(first, first + 4)
        buffers += [Buffer(size, waste, {last}, False), Buffer(8, large, {small}, False)]
        buffers += [Buffer(1, small, {last}, False)]
        after = {first - 1} if first else set[int]()
        before += [after, after, {large}, {waste, small}]
        own_bytes += [size, 8, 1, 0]
    graph = MemoryGraph(0, own_bytes, buffers, before)
    found = order_for_memory(graph)
    assert max(graph.tops(range(12))) == 19
    assert found.ops == [1, 2, 0, 3, 5, 6, 4, 7, 9, 10, 8, 11]
    assert found.peak_bytes == found.bound_bytes == 11
