from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.passes.rematerialize.block_solutions import BlockProblem, LocalRead, find_modes, least_kept


@st.composite
def problems(draw: st.DrawFn) -> BlockProblem:
    """Blocks in which op k makes storage k from earlier ones, and the backward reads some."""
    count = draw(st.integers(1, 6))
    reads = tuple(
        tuple(LocalRead(each, each) for each in sorted(draw(st.sets(st.integers(0, k - 1), max_size=2))))
        if k
        else ()
        for k in range(count)
    )
    sizes, costs = st.integers(1, 9), st.integers(1, 9)
    return BlockProblem(
        cost_us=tuple(float(draw(costs)) for _ in range(count)),
        repeatable=tuple(draw(st.booleans()) for _ in range(count)),
        intensive=tuple(draw(st.booleans()) for _ in range(count)),
        reads=reads,
        sizes=tuple(draw(sizes) for _ in range(count)),
        makers=tuple(range(count)),
        stays=frozenset(draw(st.sets(st.integers(0, count - 1), max_size=1))),
        pinned=frozenset(draw(st.sets(st.integers(0, count - 1), max_size=1))),
        wanted=tuple(LocalRead(k, k) for k in sorted(draw(st.sets(st.integers(0, count - 1), min_size=1)))),
    )


def cost_us(problem: BlockProblem, kept: frozenset[int]) -> float | None:
    """What runs again where these stay; None where that is not enough."""
    if not problem.stays <= kept:
        return None
    runs, pending = set[int](), [read.storage for read in problem.wanted]
    while pending:
        each = pending.pop()
        if each in kept or each in runs:
            continue
        if not problem.repeatable[each] or each in problem.pinned:
            return None
        runs.add(each)
        pending += [read.storage for read in problem.reads[each]]
    return sum(problem.cost_us[each] for each in runs)


def ways(problem: BlockProblem) -> list[tuple[int, float]]:
    """Bytes and time of every choice that works."""
    numbers = range(len(problem.sizes))
    subsets = chain.from_iterable(combinations(numbers, n) for n in range(len(numbers) + 1))
    costs = ((kept, cost_us(problem, frozenset(kept))) for kept in subsets)
    return [(sum(problem.sizes[k] for k in kept), cost) for kept, cost in costs if cost is not None]


@settings(deadline=None, max_examples=60)
@given(problems())
def test_no_way_that_keeps_as_little_takes_less(problem: BlockProblem):
    every = ways(problem)
    modes = find_modes(problem)
    assert min(mode.bytes for mode in modes) == min(size for size, _ in every)
    for mode in modes:
        assert mode.cost_us == cost_us(problem, mode.kept)
        assert mode.cost_us <= min(cost for size, cost in every if size <= mode.bytes) + 1e-6


@settings(deadline=None, max_examples=60)
@given(problems())
def test_the_minimum_cut_repeats_nothing_intensive(problem: BlockProblem):
    mode = least_kept(problem)
    cheap = tuple(a and not b for a, b in zip(problem.repeatable, problem.intensive, strict=True))
    allowed = BlockProblem(
        problem.cost_us, cheap, problem.intensive, problem.reads, problem.sizes, problem.makers,
        problem.stays, problem.pinned, problem.wanted,
    )  # fmt: skip
    assert mode.bytes == min(size for size, _ in ways(allowed))


def test_a_copy_that_the_block_hides_is_free_and_one_that_it_does_not_is_waited_for():
    one = BlockProblem(
        cost_us=(10.0, 10.0), repeatable=(True, True), intensive=(True, True), reads=((), (LocalRead(0, 0),)),
        sizes=(8, 8), makers=(0, 1), stays=frozenset(), pinned=frozenset(),
        wanted=(LocalRead(0, 0), LocalRead(1, 1)), copy_us=(15.0, 15.0),
    )  # fmt: skip
    modes = {mode.bytes: mode for mode in find_modes(one)}
    assert modes[16].cost_us == 0
    assert not modes[16].moved
    assert modes[8].cost_us == 0  # 15 of the 20 us that the block takes
    assert len(modes[8].moved) == 1
    assert abs(modes[0].cost_us - 10) < 1e-6  # one moves and one runs again, or 30 of 20 us are copies
