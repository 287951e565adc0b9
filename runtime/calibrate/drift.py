"""Machine drift: reference kernels now, against when this machine was calibrated.

A virtual machine is not the same from minute to minute: its CPUs share a last cache or do not, and others
share its memory (docs/adr/0011-drift.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import geometric_mean

from steelyard.hw.base.kernel_work import WorkKind
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, all_microbenchmarks
from steelyard.runtime.timing.interleaved_rounds import time_in_rounds
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.microbench import threads_set_to

TOLERANCE = 0.15
"""Relative drift up to which a machine counts as what it was."""
_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Drift:
    """Slowdown of each kind of kernel since calibration: time now over time then."""

    slowdowns: Mapping[WorkKind, float]

    @property
    def slowdown(self) -> float:
        """The geometric mean over the kinds."""
        return geometric_mean(self.slowdowns.values())

    @property
    def is_large(self) -> bool:
        """Whether the machine is not what it was when it was calibrated."""
        return not 1 / (1 + TOLERANCE) <= self.slowdown <= 1 + TOLERANCE


def measure_drift(calibrated: MeasuredRates) -> Drift | None:
    """Return the drift of this machine, None where its file has no `references_per_s`.

    Args:
        calibrated: What the machine reached, with as many threads as to measure with.
    """
    known = calibrated.references_per_s
    if not known:
        return None
    now_s = reference_times_s(calibrated.threads or 1)
    return Drift({kind: now_s[kind] * rate.at(1) for kind, rate in known.items() if kind in now_s})


def reference_times_s(threads: int) -> dict[WorkKind, float]:
    """Time the reference kernel of each kind, the first microbenchmark of it, in rounds among the others."""
    found = reversed([*all_microbenchmarks()])
    first: dict[WorkKind, Microbenchmark] = {each.work().kind: each for each in found}
    with threads_set_to(threads), memory_kept():
        ops = [(each.runnable(), each.runnable()) for each in first.values()]
        timings = time_in_rounds(ops, rounds=_ROUNDS)
    return {kind: timing.typical_s for kind, timing in zip(first, timings, strict=True)}
