"""Timing one thing on the CPU, by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from time import perf_counter

import torch

_LEAST_CALLS = 4
_CACHED_BYTES = 2**24
"""A result larger than that has left the caches when the next kernel reads it."""
_HELD = 4
"""Results that a program holds at a time, of each size."""


def typical_s(run: Callable[[], object], budget_s: float = 0.12) -> float:
    """Return the median seconds of single calls; what they return is freed at once.

    Args:
        run: What to time, after one call that is not.
        budget_s: How long to repeat; at least four calls are timed.
    """
    run()
    calls_s: list[float] = []
    end_s = perf_counter() + budget_s
    while len(calls_s) < _LEAST_CALLS or perf_counter() < end_s:
        start_s = perf_counter()
        result = run()
        calls_s.append(perf_counter() - start_s)
        del result
    return median(calls_s)


def held_s(run: Callable[[], object], budget_s: float = 0.12) -> float:
    """Return the seconds of one call where four results are held, then freed, on and on: the allocator's too.

    Where memory goes back to the operating system when it is freed, writing the next result faults on every
    page; malloc does so with what is large, or at the end of a heap that grew by much.
    """
    groups_s: list[float] = []
    end_s = perf_counter() + budget_s
    while len(groups_s) < _LEAST_CALLS or perf_counter() < end_s:
        held: list[object] = []
        start_s = perf_counter()
        held.extend(run() for _ in range(_HELD))
        held.clear()
        groups_s.append((perf_counter() - start_s) / _HELD)
    # Where the operating system must find pages first, that comes once.
    return quantiles(groups_s, n=4, method="inclusive")[0]


def write_again(tensor: torch.Tensor) -> None:
    """Leave a tensor in the caches as the kernel does that writes it, values unchanged, if they hold it."""
    storage = tensor.untyped_storage()
    if storage.nbytes() <= _CACHED_BYTES:
        torch.empty(0, dtype=torch.uint8).set_(storage).add_(0)


@contextmanager
def num_threads(threads: int | None) -> Iterator[None]:
    """Run torch with this many threads, then as before; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_set_to(threads: int) -> Iterator[None]:
    """Run torch with this many threads and without autograd, then as before."""
    with num_threads(threads), torch.no_grad():
        yield
