"""The law of contention between two measured numbers of threads, by hand and as properties."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.thread_scaling import sustained_between

SOURCE = Source(title="a test", date=date(2026, 1, 1))


def rate(value: float) -> Rate:
    return Rate(value=value, kind="measured", source=SOURCE)


def cpu(threads: int, flops_per_s: float, bytes_per_s: float, overhead_s: float = 1e-6) -> MeasuredRates:
    return MeasuredRates(
        threads=threads,
        flops_per_s={"contraction": {"f32": rate(flops_per_s)}},
        memory_bandwidth_bytes_per_s=rate(bytes_per_s),
        dispatch_overhead_s=Quantity(value=overhead_s, kind="measured", source=SOURCE),
    )


def test_arithmetic_scales_and_a_saturated_memory_does_not():
    four = sustained_between(cpu(1, 1e11, 2e10), cpu(8, 8e11, 2e10), 4)
    assert four.threads == 4
    assert four.flops_per_s["contraction"]["f32"].value == pytest.approx(4e11)
    assert four.memory_bandwidth_bytes_per_s == Rate(value=2e10, kind="derived", source=SOURCE)


def test_contention_in_between_by_hand():
    # c = 1/3: 8 threads reach 8 / (1 + 7/3) = 2.4 times the rate of one, 4 reach 4 / (1 + 3/3) = 2.
    four = sustained_between(cpu(1, 1e11, 1e10), cpu(8, 2.4e11, 2.4e10), 4)
    assert four.flops_per_s["contraction"]["f32"].value == pytest.approx(2e11)
    assert four.memory_bandwidth_bytes_per_s
    assert four.memory_bandwidth_bytes_per_s.value == pytest.approx(2e10)


def test_the_lower_end_need_not_be_one_thread():
    # The same c, from 2 threads (2 / (1 + 1/3) = 1.5) and 8.
    four = sustained_between(cpu(2, 1.5e11, 1.5e10), cpu(8, 2.4e11, 2.4e10), 4)
    assert four.flops_per_s["contraction"]["f32"].value == pytest.approx(2e11)


def test_curves_are_between_point_by_point():
    def at(threads: int, *points: tuple[float, float]) -> MeasuredRates:
        return MeasuredRates(
            threads=threads,
            memory_bandwidth_bytes_per_s=Rate(curve=points, kind="measured", source=SOURCE),
        )

    found = sustained_between(at(1, (1e3, 1e9)), at(4, (1e3, 4e9), (1e6, 1e9)), 2)
    assert found.memory_bandwidth_bytes_per_s
    assert found.memory_bandwidth_bytes_per_s.at(1e3) == pytest.approx(2e9)
    assert found.memory_bandwidth_bytes_per_s.at(1e6) == pytest.approx(1e9)


def test_overheads_are_straight_and_what_one_does_not_know_is_left_out():
    few, many = cpu(1, 1e11, 1e10, overhead_s=1e-6), cpu(5, 1e11, 1e10, overhead_s=9e-6)
    assert sustained_between(few, many, 2).dispatch_overhead_s == Quantity(
        value=3e-6, kind="derived", source=SOURCE
    )
    bare = MeasuredRates(threads=1)
    assert sustained_between(bare, many, 2) == MeasuredRates(threads=2)


@pytest.mark.parametrize("threads", [0, 1, 4, 5])
def test_only_what_is_between_is_known(threads: int):
    with pytest.raises(ValueError, match=f"{threads} threads are not between 1 and 4"):
        sustained_between(cpu(1, 1e11, 1e10), cpu(4, 1e11, 1e10), threads)


@given(scaling=st.floats(1.0, 64.0), threads=st.integers(2, 63))
def test_more_threads_are_never_slower_nor_better_than_proportional(scaling: float, threads: int):
    few, many = cpu(1, 1e11, 1e10), cpu(64, scaling * 1e11, 1e10)
    found = sustained_between(few, many, threads).flops_per_s["contraction"]["f32"].value
    assert found
    assert 1e11 * (1 - 1e-9) <= found <= threads * 1e11 * (1 + 1e-9)
