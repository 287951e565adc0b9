"""Staircases made by hand are found exactly."""

from math import ceil, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.runtime.characterize.staircase import find_staircase

SIZES = tuple(range(1, 145))


@given(width=st.sampled_from((4, 5, 8, 12, 16, 24, 32)), base=st.floats(0.5, 20), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_the_width_of_uneven_steps_is_found(width: int, base: float, seed: int) -> None:
    rises = np.random.default_rng(seed).uniform(0.5, 2, 1 + len(SIZES) // width)
    heights = base + np.cumsum(rises)
    found = find_staircase(SIZES, [heights[ceil(size / width) - 1] for size in SIZES])
    assert found is not None
    assert found.width == width
    assert found.explained == pytest.approx(1, abs=1e-3)


def test_the_penalty_by_hand() -> None:
    # Steps of 16 and a height of 1 each: at 33 time is 3, on the line from 32 to 48 it is 2 + 1/16.
    found = find_staircase(SIZES, [ceil(size / 16) for size in SIZES])
    assert found is not None
    by_hand = {
        size: ceil(size / 16) / (size / 16) - 1 for size in SIZES if size % 16 and size > 16 and size < 144
    }
    assert found.worst_size == 17
    assert found.worst_penalty == pytest.approx(2 / (1 + 1 / 16) - 1)
    assert found.penalty == pytest.approx(sum(by_hand.values()) / len(by_hand))


def test_noise_and_outliers_hide_no_steps() -> None:
    random = np.random.default_rng(3)
    times = [(10 + 5 * ceil(size / 16)) * (1 + 0.02 * random.standard_normal()) for size in SIZES]
    times[40] *= 3
    found = find_staircase(SIZES, times)
    assert found is not None
    assert found.width == 16


def test_sizes_that_are_no_multiple_may_cost_on_top() -> None:
    # A remainder loop: a multiple of 8 takes its time, others the time of the next and 30% more.
    found = find_staircase(SIZES, [ceil(size / 8) * (1.3 if size % 8 else 1) + 4 for size in SIZES])
    assert found is not None
    assert found.width == 8


@pytest.mark.parametrize(
    "curve",
    [lambda x: 10 + x, lambda x: 3 + x**0.7, lambda x: 10 + x * x, lambda x: 5 + x * log(x), lambda x: 7],
    ids=["line", "root", "square", "x log x", "constant"],
)
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_smooth_curve_has_no_steps(curve, noise: float) -> None:
    random = np.random.default_rng(1)
    assert find_staircase(SIZES, [curve(x) * (1 + noise * random.uniform()) for x in SIZES]) is None


def test_a_few_points_show_nothing() -> None:
    assert find_staircase(SIZES[:11], [ceil(size / 4) for size in SIZES[:11]]) is None
