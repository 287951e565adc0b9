import numpy as np
import pytest

from steelyard.hw.base.latency import LatencyEstimate


def test_kernels_in_sequence_take_the_sum_and_the_longer_says_what_limits() -> None:
    short = LatencyEstimate(1.0, 0.5, 2.0, "memory", "fitted")
    long = LatencyEstimate(3.0, 2.0, 5.0, "compute", "analytic")
    assert short + long == long + short == LatencyEstimate(4.0, 2.5, 7.0, "compute", "analytic")


def test_rows_of_parts_are_brought_into_order() -> None:
    times = [np.array([1.0, 3.0]), np.array([2.0])]
    words = [np.array(["memory", "memory"]), np.array(["compute"])]
    parts = [LatencyEstimate(t, t / 2, t * 2, w, w) for t, w in zip(times, words, strict=True)]
    joined = LatencyEstimate.joined(parts, np.array([2, 0, 1]))
    assert joined.value_s.tolist() == [2.0, 1.0, 3.0]
    assert joined.only == LatencyEstimate(2.0, 1.0, pytest.approx(4.0), "compute", "compute")
