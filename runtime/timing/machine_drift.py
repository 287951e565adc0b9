"""Machine drift: speed of this machine relative to its calibration.

A virtual machine is not the same from minute to minute: its CPUs share a last cache or do not, and others
share the memory with it. Reference kernels tell.
"""

# pyright: standard

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.kernel_ops import kernels
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyAttr, WorkAttr
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.runtime.timing.drift_references import References
from steelyard.runtime.timing.steady_state import measure_steady_time_s

_OLD_AFTER_S = 2.0
"""A pace that is older is looked at again; virtual machines were seen to keep theirs for 1 s to 100 s."""
OWN_BYTES = 2.0**21
"""Of each CPU: what its second cache holds, 1 to 2 MiB in the servers of 2026."""
_LINEAR_FROM = 0.1
"""A reference kernel off by more than a tenth counts little: some wait for the cache of the other CPU."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Slowdown of this machine relative to calibration; 1 where unknown.

    Attributes:
        memory: For what a kernel moves from and to memory.
        caches: For what it finds in caches, that of another CPU among them.
        others: For the rest of what it does.
        bytes_per_s: The rate of memory at calibration, by which moving and the rest are told apart.
        own_bytes: A kernel that touches as many finds half of them in caches.
    """

    memory: float = 1.0
    caches: float = 1.0
    others: float = 1.0
    bytes_per_s: float = inf
    own_bytes: float = OWN_BYTES

    def slowdown(self, time_s: float, touched_bytes: float) -> float:
        """Return how many times as long a kernel takes.

        Args:
            time_s: What it takes at the pace of the calibration.
            touched_bytes: What it reads and writes.
        """
        memory, caches, others = time_parts(time_s, touched_bytes, self.bytes_per_s, self.own_bytes)
        return memory * self.memory + caches * self.caches + others * self.others


def time_parts(
    time_s: float, touched_bytes: float, bytes_per_s: float, own_bytes: float
) -> tuple[float, float, float]:
    """Return the parts of a kernel's time that memory takes, that caches take, and the rest.

    See docs/adr/0011-pace.md.

    Args:
        time_s: The time.
        touched_bytes: What the kernel reads and writes.
        bytes_per_s: The rate of memory.
        own_bytes: A kernel that touches as many finds half of them in caches.
    """
    moving = min(1.0, touched_bytes / bytes_per_s / time_s) if time_s else 0.0
    far = touched_bytes / (touched_bytes + own_bytes)
    return moving * far, moving * (1 - far), 1 - moving


def program_slowdown(module: ModuleOp, pace: Pace) -> float:
    """Return how many times as long as predicted a program takes at a pace.

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
                value_us = latency.data.value_us
                calibrated_us += value_us * graph.times[name]
                slower = pace.slowdown(value_us * 1e-6, work.data.touched_bytes)
                now_us += value_us * graph.times[name] * slower
    return now_us / calibrated_us if calibrated_us else 1.0


def time_with_pace(
    step: Callable[[], object], sustained: MeasuredRates, least_s: float
) -> tuple[float, Pace]:
    """Return the steady seconds of a step, and the pace of the machine meanwhile.

    Args:
        step: What to time.
        sustained: What the machine reached when it was calibrated.
        least_s: As for `measure_steady_time_s`.

    Raises:
        DeviceError: As for `Pacer.look`.
    """
    if not sustained.references_per_s:
        return measure_steady_time_s(step, least_s), Pace()
    with Pacer(sustained) as pacer:
        time_s = measure_steady_time_s(step, least_s, between=pacer.look)
    return time_s, pacer.pace()


class Pacer:
    """Times the reference kernels in another process, whenever it is asked to.

    Args:
        sustained: What the machine reached when it was calibrated, with as many threads. Where it knows no
            reference kernels, none are timed.
    """

    def __init__(self, sustained: MeasuredRates) -> None:
        # One without the bytes that it touches says nothing of memory.
        self._calibrated = {
            name: rate.curve[0] if rate.curve else (0.0, rate.at(1))
            for name, rate in sustained.references_per_s.items()
        }
        bandwidth = sustained.memory_bandwidth_bytes_per_s
        self._bytes_per_s = bandwidth.at(inf) if bandwidth else inf
        self._own_bytes = OWN_BYTES * (sustained.threads or 1)
        self._found: list[dict[str, float]] = []
        self._pace_now = Pace()
        self._looked_s = -inf
        self._references = References(sustained.threads or 1) if self._calibrated else None

    def __enter__(self) -> "Pacer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._references:
            self._references.close()

    def look(self) -> None:
        """Time every reference kernel once.

        Raises:
            DeviceError: Their process ended, or they are not those of the calibration.
        """
        if self._references is None:
            return
        found = self._references.times_s()
        if found.keys() != self._calibrated.keys():
            raise DeviceError(
                what="the pace of this machine cannot be told by the references_per_s of the device file",
                why=f"it has {len(self._calibrated)}, of which this version times "
                f"{len(found.keys() & self._calibrated.keys())}",
                fix="measure this machine again with `steelyard calibrate`",
            )
        self._found.append(found)

    def pace(self, last: int = 0) -> Pace:
        """Return the pace that explains best what the reference kernels took, by their medians.

        Args:
            last: How many looks to take, the last ones; all by default.
        """
        looks = self._found[-last:]
        if not looks:
            return Pace()
        parts, slower = list[tuple[float, float, float]](), list[float]()
        for name, (touched_bytes, known_per_s) in self._calibrated.items():
            parts.append(time_parts(1 / known_per_s, touched_bytes, self._bytes_per_s, self._own_bytes))
            slower.append(median(found[name] for found in looks) * known_per_s)
        memory, caches, others = explain(np.array(parts), np.log(slower)).tolist()
        return Pace(memory, caches, others, self._bytes_per_s, self._own_bytes)

    def pace_now(self) -> Pace:
        """Return the pace of the last seconds, after a look if there was none meanwhile.

        Raises:
            DeviceError: As for `look`.
        """
        if perf_counter() > self._looked_s + _OLD_AFTER_S:
            self.look()
            self._pace_now, self._looked_s = self.pace(1), perf_counter()
        return self._pace_now


def explain(parts: NDArray[np.float64], log_slower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many times as long each part takes, by kernels that have so much of each.

    Args:
        parts: A row a kernel, as of `time_parts`.
        log_slower: The logarithm of how many times as long each kernel takes.
    """

    def residuals(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(parts @ np.exp(logarithms)) - log_slower

    found = least_squares(residuals, np.zeros(parts.shape[1]), loss="soft_l1", f_scale=_LINEAR_FROM)
    return np.exp(found.x)
