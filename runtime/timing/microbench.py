"""Timing of one function on the CPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

import torch

_LEAST_CALLS = 4
_CACHED_BYTES = 2**24
"""Largest result that is still cached when the next kernel reads it."""


def typical_s(run: Callable[[], object], budget_s: float = 0.12) -> float:
    """Return the median seconds of single calls, whose results are freed at once.

    Args:
        run: The function; a first call is not timed.
        budget_s: Time of repetition; at least four calls are timed.
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
    """Bring a tensor into the caches as its producer would, without changing it, if it fits."""
    storage = tensor.untyped_storage()
    if storage.nbytes() <= _CACHED_BYTES:
        torch.empty(0, dtype=torch.uint8).set_(storage).add_(0)


@contextmanager
def num_threads(threads: int | None) -> Iterator[None]:
    """Run torch with a number of threads inside the block; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_set_to(threads: int) -> Iterator[None]:
    """Run torch with a number of threads and without autograd inside the block."""
    with num_threads(threads), torch.no_grad():
        yield
