"""How fast this machine is now, beside how fast it was when it was calibrated.

A virtual machine is not the same from minute to minute: its CPUs share a last cache or do not, and others
share the memory with it. Reference kernels tell, in a process of their own, so that neither the heap nor the
libraries of what is measured beside them change.
"""

# pyright: standard

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from statistics import geometric_mean, median
from time import perf_counter
from typing import cast

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.call_graph import call_graph
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyAttr, WorkAttr
from steelyard.hw.errors import DeviceError
from steelyard.hw.sustained import Sustained
from steelyard.hw.work import WorkKind
from steelyard.passes.kernels import kernels
from steelyard.runtime import reference_kernels
from steelyard.runtime.measure import measure_steady_time_s

Pace = Mapping[WorkKind, float]
"""Of each kind, the seconds that its reference kernels take over what they took at calibration; a kind that
has none is taken to be as slow as all of them; empty where it is not known."""

_LOOKS = 3
_OLD_AFTER_S = 10.0
"""A pace that is older is looked at again; virtual machines were seen to keep theirs for 20 s and more."""


def time_with_pace(step: Callable[[], object], sustained: Sustained, least_s: float) -> tuple[float, Pace]:
    """Return the steady seconds of a step, and the pace of the machine meanwhile.

    Args:
        step: What to time.
        sustained: What the machine reached when it was calibrated; the pace is empty where it was not.
        least_s: As for `measure_steady_time_s`.
    """
    if not sustained.references_per_s:
        return measure_steady_time_s(step, least_s), {}
    with Pacer(sustained) as pacer:
        time_s = measure_steady_time_s(step, least_s, between=pacer.look)
    return time_s, pacer.pace()


def slower(pace: Pace, kind: str) -> float:
    """Return how many times as long as at calibration a kernel of a kind takes."""
    if not pace:
        return 1.0
    return pace.get(cast(WorkKind, kind)) or geometric_mean(pace.values())


def slowdown(module: ModuleOp, pace: Pace) -> float:
    """Return how many times as long a program takes as predicted, where kinds of kernels do as many times.

    Args:
        module: A program with `cost.latency`.
        pace: Of the machine that it runs on.
    """
    graph = call_graph(module)
    calibrated_us = now_us = 0.0
    for name, function in graph.functions.items():
        for kernel in kernels(function):
            latency, work = kernel.attributes.get(LATENCY), kernel.attributes.get(WORK)
            if isinstance(latency, LatencyAttr) and isinstance(work, WorkAttr):
                value_us = latency.data.value_us * graph.times[name]
                calibrated_us += value_us
                now_us += value_us * slower(pace, work.data.kind)
    return now_us / calibrated_us if calibrated_us else 1.0


class Pacer:
    """Times the reference kernels in another process, whenever it is asked to.

    Args:
        sustained: What the machine reached when it was calibrated, with as many threads. Where it knows no
            reference kernels, none are timed.
    """

    def __init__(self, sustained: Sustained) -> None:
        self._calibrated_per_s = {kind: rate.at(1) for kind, rate in sustained.references_per_s.items()}
        self._found: list[dict[WorkKind, float]] = []
        self._pace_now: Pace = {}
        self._looked_s = -inf
        self._process = None
        if self._calibrated_per_s:
            self._process = subprocess.Popen(
                [sys.executable, "-m", reference_kernels.__name__, str(sustained.threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def __enter__(self) -> "Pacer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            with suppress(BrokenPipeError):
                self._process.communicate()  # its input ends, and so does it

    def look(self) -> None:
        """Time every reference kernel once.

        Raises:
            DeviceError: Their process ended.
        """
        if self._process is None:
            return
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise DeviceError(
                what="the reference kernels that tell the pace of this machine cannot be timed",
                why=f"their process ended with code {self._process.wait()}; what it said is above",
                fix="free memory, since they need 1 GiB, or take a device file without references_per_s",
            )
        self._found.append(json.loads(answer))

    def pace(self, last: int = 0) -> Pace:
        """Return how many times as long as at calibration the kernels of each kind took, by the medians.

        Args:
            last: How many looks to take, the last ones; all by default.
        """
        looks = self._found[-last:]
        return {
            kind: known_per_s / median(found[kind] for found in looks)
            for kind, known_per_s in self._calibrated_per_s.items()
            if looks and kind in looks[0]
        }

    def pace_now(self) -> Pace:
        """Return the pace of the last seconds, after some looks if there were none meanwhile.

        Raises:
            DeviceError: As for `look`.
        """
        if perf_counter() > self._looked_s + _OLD_AFTER_S:
            for _ in range(_LOOKS):
                self.look()
            self._pace_now, self._looked_s = self.pace(_LOOKS), perf_counter()
        return self._pace_now
