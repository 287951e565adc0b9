"""Timing one thing on the CPU, by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

import torch

_LEAST_CALLS = 4
_CACHED_BYTES = 2**24
"""A result larger than that has left the caches when the next kernel reads it."""


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
