from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.passes.rematerialize.block_solutions import BlockProblem, LocalRead, least_saved, solve_block


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
        recomputable=tuple(draw(st.booleans()) for _ in range(count)),
        intensive=tuple(draw(st.booleans()) for _ in range(count)),
        reads=reads,
        sizes=tuple(draw(sizes) for _ in range(count)),
        makers=tuple(range(count)),
        required=frozenset(draw(st.sets(st.integers(0, count - 1), max_size=1))),
        mutated=frozenset(draw(st.sets(st.integers(0, count - 1), max_size=1))),
        wanted=tuple(LocalRead(k, k) for k in sorted(draw(st.sets(st.integers(0, count - 1), min_size=1)))),
    )


def cost_us(problem: BlockProblem, saved: frozenset[int]) -> float | None:
    """Time of recomputation with these storages saved; None where that is infeasible."""
    if not problem.required <= saved:
        return None
    runs, pending = set[int](), [read.storage for read in problem.wanted]
    while pending:
        each = pending.pop()
        if each in saved or each in runs:
            continue
        if not problem.recomputable[each] or each in problem.mutated:
            return None
        runs.add(each)
        pending += [read.storage for read in problem.reads[each]]
    return sum(problem.cost_us[each] for each in runs)


def policies(problem: BlockProblem) -> list[tuple[int, float]]:
    """Saved bytes and time of every feasible choice."""
    numbers = range(len(problem.sizes))
    subsets = chain.from_iterable(combinations(numbers, n) for n in range(len(numbers) + 1))
    costs = ((saved, cost_us(problem, frozenset(saved))) for saved in subsets)
    return [(sum(problem.sizes[k] for k in saved), cost) for saved, cost in costs if cost is not None]


@settings(deadline=None, max_examples=60)
@given(problems())
def test_no_choice_that_saves_as_little_takes_less(problem: BlockProblem):
    every = policies(problem)
    solutions = solve_block(problem)
    assert min(solution.bytes for solution in solutions) == min(size for size, _ in every)
    for solution in solutions:
        assert solution.cost_us == cost_us(problem, solution.saved)
        assert solution.cost_us <= min(cost for size, cost in every if size <= solution.bytes) + 1e-6


@settings(deadline=None, max_examples=60)
@given(problems())
def test_the_minimum_cut_recomputes_nothing_intensive(problem: BlockProblem):
    solution = least_saved(problem)
    cheap = tuple(a and not b for a, b in zip(problem.recomputable, problem.intensive, strict=True))
    allowed = BlockProblem(
        problem.cost_us, cheap, problem.intensive, problem.reads, problem.sizes, problem.makers,
        problem.required, problem.mutated, problem.wanted,
    )  # fmt: skip
    assert solution.bytes == min(size for size, _ in policies(allowed))


def test_a_copy_costs_what_the_ops_of_the_block_do_not_hide():
    one = BlockProblem(
        cost_us=(10.0, 10.0), recomputable=(True, True), intensive=(True, True),
        reads=((), (LocalRead(0, 0),)),
        sizes=(8, 8), makers=(0, 1), required=frozenset(), mutated=frozenset(),
        wanted=(LocalRead(0, 0), LocalRead(1, 1)), copy_us=(15.0, 15.0),
    )  # fmt: skip
    solutions = {solution.bytes: solution for solution in solve_block(one)}
    assert solutions[16].cost_us == 0
    assert not solutions[16].offloaded
    assert solutions[8].cost_us == 0  # 15 of the 20 us that the block takes
    assert len(solutions[8].offloaded) == 1
    assert abs(solutions[0].cost_us - 10) < 1e-6
