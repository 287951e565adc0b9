"""Steady time of a step: its median after two steps that warm up."""

import pytest

from steelyard.runtime.timing.steady_state import measure_steady_time_s


def test_steps_that_warm_up_do_not_count(monkeypatch: pytest.MonkeyPatch):
    clock, steps = [0.0], [0]

    def step() -> None:
        clock[0] += 5.0 if steps[0] < 2 else 0.25
        steps[0] += 1

    monkeypatch.setattr("steelyard.runtime.timing.steady_state.perf_counter", lambda: clock[0])
    assert measure_steady_time_s(step, least_s=2.0) == pytest.approx(0.25)
