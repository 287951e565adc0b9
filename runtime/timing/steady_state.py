"""Time and peak memory of a step on this machine's CPU."""

from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from steelyard.compiler.emit.host_copy import HostCopy
from steelyard.runtime.timing.cpu_contention import OtherLoad
from steelyard.runtime.timing.quiet_samples import quiet_samples

_SPELL_S = 0.2
"""The system counts the time of others in steps of 10 ms."""
_PATIENCE = 3


def measure_time_s(step: Callable[[], Any], repeats: int = 3) -> float:
    """The median time of a step in seconds after one that warms up."""
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
    between: Callable[[], None] | None = None,
) -> float:
    """The median time of a step in seconds once steps take alike, while others leave the machine alone.

    The first steps find their memory and their kernels; short steps are repeated for longer, since other
    processes disturb them more. For one process only: how often a step is run depends on the clock.

    Args:
        step: What to time.
        least_s: How long to repeat, after two steps that warm up; up to three times that if others disturb.
        least_repeats: How often to repeat, at least.
        between: Called now and then between steps. The step that follows is not timed: what a process leaves
            unused for a while, the caches and the host of a virtual machine give to others.
    """
    step()
    step()
    taken = list[tuple[float | None, list[float]]]()
    calm, spent_s = list[float](), 0.0
    while len(calm) < least_repeats or (sum(calm) < least_s and spent_s < _PATIENCE * least_s):
        if between:
            between()
            step()
        load = OtherLoad()
        times = _spell(step)
        taken.append((load.cpus(), times))
        calm = [time for spell in quiet_samples(taken, least_repeats) for time in spell]
        spent_s += sum(times)
    return median(calm)


def _spell(step: Callable[[], Any]) -> list[float]:
    """The times of steps one after the other, for long enough to see how busy others are."""
    times = list[float]()
    while sum(times) < _SPELL_S:
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return times


def measure_peak_bytes(step: Callable[[], Any], resident: Iterable[torch.Tensor | HostCopy]) -> int:
    """Peak bytes of tensor storage while a step runs, from the CPU allocator's own events.

    Args:
        step: Run once; its result is dropped at once.
        resident: Tensors that exist before, whose storages count from the start; copies on the host do not.
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
