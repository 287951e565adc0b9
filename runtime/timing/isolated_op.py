"""Timing single ops, call by call on a CPU, in short runs of calls on a GPU."""

from collections.abc import Callable
from functools import cache
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import torch

from steelyard.runtime.timing.host_cpu import last_cache_bytes
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.microbench import write_again
from steelyard.runtime.timing.random_operands import Runnable

Timer = Callable[[Runnable, int], list[float]]
"""Runs an op so many times after it has warmed up and returns the seconds of each call."""

_RUN_S = 1e-3
"""How long a run of calls on a GPU should be, since its events tell half a microsecond apart."""

_MOST_CALLS = 200

_FEW_PAGES = 32
_PATIENCE = 4
"""So many times as many calls as are wanted are made, if most get new pages."""

_CACHE_BYTES = 2**25
"""The last cache where the operating system does not tell."""


def time_on_cpu(op: Runnable, repeats: int) -> list[float]:
    """Return the seconds of single calls in the state in which the step of a real model finds them.

    What the kernel before it wrote is in the caches, as far as they hold it, and nothing else is: neither its
    other operands nor the memory of its result, since that of the call before is still held. No page of it is
    new: page faults are counted by themselves (`passes/memory/page_faults.py`).
    """
    times_s: list[float] = []
    with memory_kept():
        held = [op.run(), op.run()]
        for left in range(_PATIENCE * repeats, 0, -1):
            del held[0]
            op.restore()
            _fill_caches()
            for tensor in op.produced:
                write_again(tensor)
            pages, start_s = _new_pages(), perf_counter()
            result = op.run()
            time_s = perf_counter() - start_s
            held.append(result)
            del result
            # A hole of the heap may be too small for the next result, which asks for more than it keeps.
            if _new_pages() - pages < _FEW_PAGES or left <= repeats - len(times_s):
                times_s.append(time_s)
            if len(times_s) == repeats:
                break
        del held
    return times_s


def _new_pages() -> int:
    """Return how many pages the operating system supplied so far."""
    return getrusage(RUSAGE_SELF).ru_minflt


def _fill_caches() -> None:
    """Leave nothing in the caches that was there before."""
    _other_data().add_(1)


@cache
def _other_data() -> torch.Tensor:
    return torch.zeros(2 * (last_cache_bytes() or _CACHE_BYTES), dtype=torch.uint8)


def time_on_cuda(op: Runnable, repeats: int) -> list[float]:
    """Return the seconds of a call in a stream of calls, as in a program whose host runs ahead."""
    op.run()
    calls = 1
    first_s = _stream_s(op, calls)
    calls = min(_MOST_CALLS, max(1, round(_RUN_S / first_s)))
    return [_stream_s(op, calls) for _ in range(repeats)]


def _stream_s(op: Runnable, calls: int) -> float:
    op.restore()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(calls):
        op.run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e-3 / calls
