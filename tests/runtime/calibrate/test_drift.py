"""Drift of a machine: its kinds, their mean, and when it is too large."""

from datetime import date

import pytest

from steelyard.hw.base.quantity import Rate, Source
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.runtime.calibrate.drift import Drift, measure_drift

SOURCE = Source(title="made up", date=date(2026, 1, 1))


def test_a_kind_that_takes_three_times_as_long_has_a_drift_of_three(monkeypatch: pytest.MonkeyPatch):
    now_s = {"contraction": 3e-3, "pointwise": 1e-3, "copy": 1e-3}
    monkeypatch.setattr("steelyard.runtime.calibrate.drift.reference_times_s", lambda threads: now_s)  # pyright: ignore
    once_ms = Rate(value=1e3, kind="measured", source=SOURCE)
    known = MeasuredRates(threads=1, references_per_s={"contraction": once_ms, "pointwise": once_ms})
    found = measure_drift(known)
    assert found and found.slowdowns == pytest.approx({"contraction": 3.0, "pointwise": 1.0})
    assert found.slowdown == pytest.approx(3**0.5)


def test_a_machine_without_references_has_no_drift():
    assert measure_drift(MeasuredRates(threads=1)) is None


@pytest.mark.parametrize(("slowdown", "large"), [(1.0, False), (1.14, False), (1.31, True), (0.8, True)])
def test_a_machine_that_is_off_by_more_than_the_tolerance_is_not_what_it_was(slowdown: float, large: bool):
    assert Drift({"contraction": slowdown}).is_large == large
