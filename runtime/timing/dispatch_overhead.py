"""Dispatch overhead: host time of one op besides its kernel."""

# pyright: standard

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import cycle
from statistics import geometric_mean, median
from time import perf_counter

import torch
from torch import Tensor

_TINY = (1, 8, 4, 4)
_CALLS = 12
_LAYER = (128, 768, 3072)
_WEIGHTS = 8
"""Number of layers whose weights exceed the caches."""


@dataclass(frozen=True, slots=True)
class HostTime:
    """Host seconds of one operation.

    Attributes:
        repeated_s: Time of a repeated operation.
        kernel_s: Time of an operation with a kernel, in a model.
        view_s: Time of a view, in a model.
    """

    repeated_s: float
    kernel_s: float
    view_s: float


def host_time() -> HostTime:
    """Measure the host time with operands so small that kernels take no time.

    In a model, the host's code and data are still cached after a streaming kernel, and evicted after a
    product. Python's share differs as well: none in a backward pass, most in a norm's module. The mean of all
    cases represents the model.
    """
    tiny = torch.rand(_TINY)
    norms = torch.nn.BatchNorm2d(_TINY[1]).eval(), torch.nn.LayerNorm(_TINY[-1])
    calls: tuple[Callable[[Tensor], Tensor], ...] = (torch.relu, torch.nn.ReLU(), *norms)
    before = tuple(_kernels_before())

    def in_model_s(run: Callable[[], object]) -> float:
        return geometric_mean([_median_s(run, each) for each in before])

    return HostTime(
        repeated_s=_median_s(lambda: torch.relu(tiny), lambda: None),
        kernel_s=geometric_mean([in_model_s(lambda: call(tiny)) for call in calls]),  # noqa: B023
        view_s=in_model_s(lambda: tiny.view(-1)),
    )


def typical_host_time(times: Sequence[HostTime]) -> HostTime:
    """Return the medians of repeated measurements, as a machine drifts."""
    return HostTime(*(median(getattr(each, part.name) for each in times) for part in fields(HostTime)))


def _kernels_before() -> Iterator[Callable[[], object]]:
    rows, width, wide = _LAYER
    x, activation = torch.rand(rows, width), torch.rand(rows, wide)
    weights = cycle([torch.rand(wide, width).t() for _ in range(_WEIGHTS)])
    yield lambda: torch.mm(x, next(weights))
    yield lambda: activation.mul_(1.0)


def _median_s(run: Callable[[], object], before: Callable[[], object]) -> float:
    times_s: list[float] = []
    for _ in range(_CALLS):
        before()
        start_s = perf_counter()
        run()
        times_s.append(perf_counter() - start_s)
    return median(times_s)
