"""Which steps count towards a steady time."""

import pytest

from steelyard.runtime.timing.steady_state import measure_steady_time_s


def test_the_step_after_something_else_does_not_count(monkeypatch: pytest.MonkeyPatch):
    clock, disturbed = [0.0], [False]

    def step() -> None:
        clock[0] += 5.0 if disturbed[0] else 0.25
        disturbed[0] = False

    def between() -> None:
        disturbed[0] = True

    monkeypatch.setattr("steelyard.runtime.timing.steady_state.perf_counter", lambda: clock[0])
    assert measure_steady_time_s(step, least_s=2.0, between=between) == pytest.approx(0.25)
    assert measure_steady_time_s(step, least_s=2.0) == pytest.approx(0.25)
