"""CPU stream bandwidth, first-touch write rate, and arithmetic rate in cache."""

# pyright: standard

from dataclasses import dataclass
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from statistics import geometric_mean

import torch

from steelyard.hw.base.quantity import Point
from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.runtime.timing.microbench import typical_s
from steelyard.runtime.timing.random_operands import TORCH_DTYPES

_aten = torch.ops.aten
_ELEMENTS = tuple(4**power for power in range(6, 14))
_MAPPED_ELEMENTS = 33 * 2**18
_IN_CACHE_ELEMENTS = 2**17
_HARDSWISH_FLOPS = 5
_LEAST_BUSY = 0.1
"""Least part of a measured time that counts as work after overheads are subtracted."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Stream bandwidth over touched bytes, and first-touch write rate, in bytes per second."""

    touched: tuple[Point, ...]
    fresh_bytes_per_s: float


def streams(dispatch_s: float) -> Streams:
    """Measure the sum of two vectors into a third (STREAM add), and into newly mapped memory (first touch).

    The memory is mapped explicitly, since malloc would reuse a hole in the heap if earlier code left one.

    Args:
        dispatch_s: Host time of one operation, which is subtracted.
    """
    touched: list[Point] = []
    for elements in _ELEMENTS:
        left, right, out = (torch.ones(elements) for _ in range(3))
        warm_s = _sum_s(left, right, out, dispatch_s)
        touched.append((3 * out.nbytes, 3 * out.nbytes / warm_s))
    left, right, out = (torch.ones(_MAPPED_ELEMENTS) for _ in range(3))
    warm_s = _sum_s(left, right, out, dispatch_s)
    fresh_s = typical_s(lambda: _add_into_mapping(left, right))
    # The result takes a third of the traffic, and what is new is never faster than what is not.
    fresh_bytes_per_s = out.nbytes / max(fresh_s - dispatch_s - warm_s * 2 / 3, warm_s / 3)
    return Streams(tuple(touched), fresh_bytes_per_s)


def _sum_s(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor, dispatch_s: float) -> float:
    time_s = typical_s(lambda: _aten.add.out(left, right, out=out))
    return max(time_s - dispatch_s, _LEAST_BUSY * time_s)


def _add_into_mapping(left: torch.Tensor, right: torch.Tensor) -> None:
    """Add into newly mapped memory and unmap it.

    The mapping is private: a shared one, Python's default, costs twice as much.
    """
    with mmap(-1, left.nbytes, flags=MAP_PRIVATE | MAP_ANONYMOUS) as mapping:
        out = torch.frombuffer(mapping, dtype=left.dtype)
        _aten.add.out(left, right, out=out)
        del out  # a mapping that is in use cannot be closed


def pointwise_flops_per_s(dtype: PeakDType) -> float:
    """Measure hardswish in cache: an addition, two comparisons, a product, a division."""
    x = torch.rand(_IN_CACHE_ELEMENTS, dtype=TORCH_DTYPES[dtype])
    out = torch.empty_like(x)
    return _HARDSWISH_FLOPS * _IN_CACHE_ELEMENTS / typical_s(lambda: _aten.hardswish.out(x, out=out))


def transcendental_flops_per_s(dtype: PeakDType) -> float:
    """Measure the mean rate of some functions in cache, in results per second."""
    x = torch.rand(_IN_CACHE_ELEMENTS, dtype=TORCH_DTYPES[dtype])
    out = torch.empty_like(x)
    functions = (_aten.exp.out, _aten.tanh.out, _aten.erf.out, _aten.log.out)
    times_s = [typical_s(lambda: function(x, out=out)) for function in functions]  # noqa: B023
    return _IN_CACHE_ELEMENTS / geometric_mean(times_s)
