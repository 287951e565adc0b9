"""Timing one operation on the CPU as a training step runs it: with its results kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from time import perf_counter

import torch

from steelyard.hw.units import MIB

WINDOW_BYTES = 128 * MIB
"""How much of an operation's results is kept before all of it is freed. The allocator hands a buffer that was
just freed straight back, still in cache; the activations of a step come from memory that was not touched for
long, or is new."""
_MIN_CALLS = 4


def typical_s(run: Callable[[], object], *, kept_bytes: int = 0, budget_s: float = 0.12) -> float:
    """Return the lowest decile of the seconds of single calls, since another process can only add to them.

    Args:
        run: What to time; what it returns is kept until `WINDOW_BYTES` are, then all of it is freed.
        kept_bytes: Bytes that one call allocates and returns.
        budget_s: How long to repeat; at least four calls are timed.
    """
    window = max(1, WINDOW_BYTES // kept_bytes) if kept_bytes else 1
    run()
    calls_s: list[float] = []
    frees_s: list[float] = []
    end_s = perf_counter() + budget_s
    while len(calls_s) < _MIN_CALLS or perf_counter() < end_s:
        kept: list[object] = []
        for _ in range(window):
            start_s = perf_counter()
            kept.append(run())
            calls_s.append(perf_counter() - start_s)
            if len(calls_s) >= _MIN_CALLS and perf_counter() >= end_s:
                break
        # Freeing is part of the cost: it is where the allocator returns pages.
        count, start_s = len(kept), perf_counter()
        kept.clear()
        frees_s.append((perf_counter() - start_s) / count)
    return quantiles(calls_s, n=10, method="inclusive")[0] + median(frees_s)


@contextmanager
def threads_set_to(threads: int) -> Iterator[None]:
    """Run torch with this many threads and without autograd, then as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)
