import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.kernel_cost import KernelCost

COUNTS = ("contraction_flops", "pointwise_flops", "transcendental_flops", "bytes_read", "bytes_written")
Cost = KernelCost[int]
COSTS = st.builds(KernelCost, **dict.fromkeys(COUNTS, st.integers(0, 10**12)))


@given(COSTS, COSTS, st.integers(0, 1000))
def test_kernels_in_a_row_cost_the_sum_of_each_count(one: Cost, other: Cost, n: int) -> None:
    both = one + other * n
    assert both.counts() == {name: getattr(one, name) + n * getattr(other, name) for name in COUNTS}
    assert both.flops == one.flops + n * other.flops
    assert both.touched_bytes == one.touched_bytes + n * other.touched_bytes


@given(st.lists(COSTS, min_size=1, max_size=5), st.integers(0, 1000))
def test_columns_are_the_costs_of_their_rows(costs: list[Cost], n: int) -> None:
    columns = KernelCost(
        **{name: np.array([getattr(each, name) for each in costs], float) for name in COUNTS}
    )
    assert (columns * np.array([n]) + columns).split(len(costs)) == [each * (n + 1) for each in costs]


def test_counts_that_a_kind_lacks_are_zero_in_every_row() -> None:
    columns = KernelCost(bytes_read=np.array([8.0, 16.0]))
    assert columns.split(2) == [KernelCost(bytes_read=8), KernelCost(bytes_read=16)]
