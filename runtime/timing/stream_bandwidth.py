"""CPU stream bandwidth, first-touch write rate, and arithmetic rate in cache."""

# pyright: standard

from dataclasses import dataclass
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from statistics import geometric_mean

import torch

from steelyard.hw.base.quantity import Point
from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.runtime.microbenchmarks.microbenchmark import TORCH_DTYPES
from steelyard.runtime.timing.microbench import typical_s

_aten = torch.ops.aten
_ELEMENTS = tuple(4**power for power in range(6, 14))
_MAPPED_ELEMENTS = 33 * 2**18
_IN_CACHE_ELEMENTS = 2**17
_HARDSWISH_FLOPS = 5
_LEAST_BUSY = 0.1
"""The part of a measured time that is always taken to be work, however the overheads came out."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Bytes per second over the bytes that a kernel touches, and those of writing fresh pages."""

    touched: tuple[Point, ...]
    fresh_bytes_per_s: float


def streams(dispatch_s: float) -> Streams:
    """Measure a sum of two vectors into a third, and into memory that the operating system just gave.

    That is mapped here as malloc maps it: a heap with a hole would hand that out instead, and whether it has
    one depends on all that ran before.

    Args:
        dispatch_s: Host time of one operation, which is taken off.
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
    """Add into memory that the operating system just gave, which takes its pages back at once.

    Shared memory, which Python maps by default, costs twice as much.
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
