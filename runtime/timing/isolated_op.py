"""Timing of single ops: call by call on a CPU, in short streams of calls on a GPU."""

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
"""Times an op: from the op and a number of calls after warm-up to the seconds of each call."""

_RUN_S = 1e-3
"""Duration of a stream of calls on a GPU, whose events resolve half a microsecond."""

_MOST_CALLS = 200

_FEW_PAGES = 32
_PATIENCE = 4
"""Limit of calls, as a multiple of the wanted ones, if most calls get new pages."""

_CACHE_BYTES = 2**25
"""Size of the last-level cache if the operating system does not report it."""


def time_on_cpu(op: Runnable, repeats: int) -> list[float]:
    """Return the seconds of single calls with the cache state of a step.

    The producer's output is warm, as far as caches hold it; other operands and the result's memory are cold,
    since the previous result is still held. No page is new: page faults are counted separately
    (`passes/memory/page_faults.py`).
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
    """Return the number of page faults so far."""
    return getrusage(RUSAGE_SELF).ru_minflt


def _fill_caches() -> None:
    """Evict all previous contents of the caches."""
    _other_data().add_(1)


@cache
def _other_data() -> torch.Tensor:
    return torch.zeros(2 * (last_cache_bytes() or _CACHE_BYTES), dtype=torch.uint8)


def time_on_cuda(op: Runnable, repeats: int) -> list[float]:
    """Return the seconds of a call in a stream of calls, with asynchronous dispatch."""
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
