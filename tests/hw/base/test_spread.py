import numpy as np
import pytest

from steelyard.hw.base.spread import ErrorBand, conformal_spread


def test_the_class_of_a_time_gives_its_factors():
    spread = ErrorBand(up_to_s=(1e-3,), low=(0.5, 0.8), high=(3.0, 1.1))
    low, high = spread.interval(np.array([1e-4, 1.0]), np.zeros(2))
    assert np.allclose(low, [0.5e-4, 0.8])
    assert np.allclose(high, [3e-4, 1.1])


def test_an_interval_holds_the_prediction_and_is_not_below_the_floor():
    biased = ErrorBand(low=(1.2,), high=(1.5,))
    low, high = biased.interval(np.array([1.0]), np.zeros(1))
    assert (low, high) == (1.0, 1.5)
    low, _ = ErrorBand(low=(0.1,), high=(2.0,)).interval(np.array([1.0]), np.array([0.7]))
    assert low == 0.7


@pytest.mark.parametrize(
    "wrong",
    [{"low": (1.0,), "high": (1.0, 2.0)}, {"low": (0.0,), "high": (1.0,)}, {"low": (2.0,), "high": (1.0,)}],
)
def test_a_spread_that_is_none_is_refused(wrong: dict[str, tuple[float, ...]]):
    with pytest.raises(ValueError, match="low"):
        ErrorBand(**wrong)


def test_nine_in_ten_of_other_rows_are_inside_whatever_the_size():
    random = np.random.default_rng(0)
    predicted = np.exp(random.uniform(-12, -3, 4000))
    # Short kernels are predicted worse, and more often too short.
    noise = np.where(predicted < 1e-3, random.exponential(0.5, 4000), random.normal(0, 0.05, 4000))
    measured = predicted * np.exp(noise)
    spread = conformal_spread(predicted[:2000], measured[:2000])
    low, high = spread.interval(predicted[2000:], np.zeros(2000))
    inside = (low <= measured[2000:]) & (measured[2000:] <= high)
    for rows in (predicted[2000:] < 1e-3, predicted[2000:] >= 1e-3):
        assert 0.85 < inside[rows].mean() < 0.96


def test_a_few_rows_make_one_class_that_holds_them_all():
    spread = conformal_spread(np.ones(5), np.array([0.5, 1.0, 1.0, 1.0, 2.0]))
    assert spread == ErrorBand(low=(0.5,), high=(2.0,))
