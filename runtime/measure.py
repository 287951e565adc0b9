"""Time and peak memory of a step on this machine's CPU."""

from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def measure_time_s(step: Callable[[], Any], repeats: int = 3) -> float:
    """The median time of a step in seconds after one that warms up."""
    step()
    times = list[float]()
    for _ in range(repeats):
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return median(times)


def measure_peak_bytes(step: Callable[[], Any], resident: Iterable[torch.Tensor]) -> int:
    """Peak bytes of tensor storage while a step runs, from the CPU allocator's own events.

    Args:
        step: Run once; its result is dropped at once.
        resident: Tensors that exist before, whose storages count from the start.
    """
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in resident}
    live = peak = sum(storages.values())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        step()
    kineto: Any = run.profiler  # its raw events, as in torch 2.11 to 2.13
    events = [event for event in kineto.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak
