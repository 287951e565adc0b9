"""What the probe of fresh pages touches; how long it takes is not tested."""

from collections.abc import Callable
from resource import RUSAGE_SELF, getpagesize, getrusage

import pytest

from steelyard.runtime.timing.stream_bandwidth import streams

FAULT_S = 1e-6


def test_fresh_memory_is_measured_on_pages_that_the_system_supplies_each_time(monkeypatch):
    faults = list[int]()

    def by_faults_s(run: Callable[[], object]) -> float:
        run()
        before = getrusage(RUSAGE_SELF).ru_minflt
        run()
        faults.append(getrusage(RUSAGE_SELF).ru_minflt - before)
        return FAULT_S * faults[-1] + 1e-9

    monkeypatch.setattr("steelyard.runtime.timing.stream_bandwidth.typical_s", by_faults_s)
    found = streams(0.0)
    pages = 33 * 2**20 / getpagesize()
    *warm, fresh = faults
    assert max(warm) < pages / 10
    assert fresh == pytest.approx(pages, rel=0.05)
    assert found.fresh_bytes_per_s == pytest.approx(getpagesize() / FAULT_S, rel=0.05)
