from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.quantity import Quantity, Rate, Source

SOURCE = Source(title="a test", date=date(2026, 1, 1))


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_quantity_is_positive_and_finite(value: float):
    with pytest.raises(ValueError, match="leave out what is unknown"):
        Quantity(value=value, kind="spec", source=SOURCE)


def test_a_single_value_holds_for_every_amount():
    rate = Rate(value=5e9, kind="measured", source=SOURCE)
    assert [rate.at(amount) for amount in (0, 1, 1e12)] == [5e9, 5e9, 5e9]


def test_a_curve_is_straight_in_log_log_space_and_flat_outside():
    rate = Rate(curve=((1e3, 1e9), (1e5, 1e11)), kind="measured", source=SOURCE)
    assert rate.at(1e4) == pytest.approx(1e10)
    assert rate.at(1e3) == pytest.approx(1e9)
    assert rate.at(1) == 1e9
    assert rate.at(0) == 1e9
    assert rate.at(1e9) == 1e11


def test_a_curve_of_one_point_is_flat():
    assert Rate(curve=((1e3, 7.0),), kind="measured", source=SOURCE).at(1e9) == 7.0


@given(st.floats(1, 1e12))
def test_a_curve_stays_between_its_neighbours(amount: float):
    rate = Rate(curve=((1e2, 4e9), (1e4, 9e9), (1e8, 2e9)), kind="measured", source=SOURCE)
    assert 2e9 * (1 - 1e-9) <= rate.at(amount) <= 9e9 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "curve", "message"),
    [
        (None, None, "exactly one"),
        (1.0, ((1.0, 1.0),), "exactly one"),
        (None, (), "positive"),
        (None, ((0.0, 1.0),), "positive"),
        (None, ((1.0, -1.0),), "positive"),
        (-1.0, None, "positive"),
        (None, ((2.0, 1.0), (2.0, 3.0)), "must rise"),
    ],
)
def test_a_rate_is_one_value_or_one_rising_curve(
    value: float | None, curve: tuple[tuple[float, float], ...] | None, message: str
):
    with pytest.raises(ValueError, match=message):
        Rate(value=value, curve=curve, kind="measured", source=SOURCE)
