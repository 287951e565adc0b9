import pytest

from steelyard.hw.devices.typical_factors import SPREAD_ANALYTIC
from steelyard.hw.latency.intervals import analytic_spread, combine


def test_errors_within_a_kind_add_up_and_between_kinds_their_squares_do():
    total, low, high = combine(["a", "a", "b"], [1.0, 2.0, 5.0], [0.5, 1.5, 4.0], [2.0, 4.0, 9.0])
    assert total == 8.0
    assert low == pytest.approx(8.0 - (1.0**2 + 1.0**2) ** 0.5)
    assert high == pytest.approx(8.0 + (3.0**2 + 4.0**2) ** 0.5)


def test_a_sum_of_nothing_is_nothing():
    assert combine([], [], [], []) == (0, 0, 0)


def test_kinds_have_spreads_of_their_own_narrower_than_a_roofline():
    gemm = analytic_spread("gemm", "bf16")
    assert gemm != analytic_spread("gemm", "f32")
    assert max(gemm.high) < SPREAD_ANALYTIC


def test_a_sibling_of_a_measured_device_is_surer_than_a_stranger():
    sibling, stranger = (analytic_spread("gemm", "bf16", version) for version in ("9.0", "10.0"))
    assert max(sibling.high) < max(stranger.high)
    assert min(sibling.low) > min(stranger.low)
    assert analytic_spread("gemm", "bf16") == stranger


def test_a_type_that_nobody_measured_takes_those_of_all():
    assert analytic_spread("softmax", "f16") == analytic_spread("softmax", "bf16")
