"""Time and peak memory of a step on this machine's CPU."""

from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from steelyard.compiler.emit.host_copy import HostCopy
from steelyard.runtime.timing.quiet_samples import OtherLoad, quiet_samples

_BURST_S = 0.2
"""Duration of a burst; the system counts CPU time in steps of 10 ms."""
_PATIENCE = 3


def measure_time_s(step: Callable[[], Any], repeats: int = 3) -> float:
    """The median time of a step in seconds after one warm-up step."""
    step()
    times = list[float]()
    for _ in range(repeats):
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return median(times)


def measure_steady_time_s(
    step: Callable[[], Any],
    least_s: float = 3.0,
    least_repeats: int = 5,
) -> float:
    """The median time of a step in seconds in steady state, on an otherwise idle machine.

    The first steps allocate memory and load kernels; short steps are repeated more often, since other
    processes disturb them more. For a single process only: the number of steps depends on the clock.

    Args:
        step: The step.
        least_s: Least time of repetition, after two warm-up steps; up to three times that under other load.
        least_repeats: Least number of repetitions.
    """
    step()
    step()
    taken = list[tuple[float | None, list[float]]]()
    quiet, spent_s = list[float](), 0.0
    while len(quiet) < least_repeats or (sum(quiet) < least_s and spent_s < _PATIENCE * least_s):
        load = OtherLoad()
        times = _burst(step)
        taken.append((load.cpus(), times))
        quiet = [time for burst in quiet_samples(taken, least_repeats) for time in burst]
        spent_s += sum(times)
    return median(quiet)


def _burst(step: Callable[[], Any]) -> list[float]:
    """Time a burst of consecutive steps, long enough to measure the load of other processes."""
    times = list[float]()
    while sum(times) < _BURST_S:
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return times


def measure_peak_bytes(step: Callable[[], Any], resident: Iterable[torch.Tensor | HostCopy]) -> int:
    """Peak bytes of tensor storage while a step runs, from the CPU allocator's own events.

    Args:
        step: Run once; its result is dropped at once.
        resident: Tensors that exist before and count from the start; host copies do not count.
    """
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
        for t in resident
        if isinstance(t, torch.Tensor)
    }
    live = peak = sum(storages.values())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        step()
    kineto: Any = run.profiler  # its raw events, as in torch 2.11 to 2.13
    events = [event for event in kineto.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak
