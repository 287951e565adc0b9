"""Timing single ops, call by call on a CPU, in short runs of calls on a GPU."""

from collections.abc import Callable
from time import perf_counter

import torch

from steelyard.runtime.random_operands import Runnable

Timer = Callable[[Runnable, int], list[float]]
"""Runs an op so many times after it has warmed up and returns the seconds of each call."""

_RUN_S = 1e-3
"""How long a run of calls on a GPU should be, since its events tell half a microsecond apart."""

_MOST_CALLS = 200


def time_on_cpu(op: Runnable, repeats: int) -> list[float]:
    """Return the seconds of single calls; results are dropped at once, outside of the time."""
    op.run()
    times_s: list[float] = []
    for _ in range(repeats):
        op.restore()
        start_s = perf_counter()
        result = op.run()
        times_s.append(perf_counter() - start_s)
        del result
    return times_s


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
