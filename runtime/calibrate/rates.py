"""Sustained rates of a device file, from the times of microbenchmarks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2
from statistics import geometric_mean
from typing import cast

from steelyard.hw.base.kernel_work import KernelWork, WorkKind
from steelyard.hw.base.quantity import Point, Rate, Source
from steelyard.hw.devices.measured_rates import PeakDType, RateKind
from steelyard.hw.latency.roofline import Roofline

CONTRACTIONS: tuple[WorkKind, ...] = ("contraction", "convolution", "depthwise_convolution", "attention")
"""Kinds of kernels that the rate of multiply-accumulate chains prices; memory prices the others."""
_LEAST_BUSY = 0.1
"""The part of a measured time that is always taken to be work, however the overheads came out."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """Work of a microbenchmark and its seconds, without host time."""

    work: KernelWork
    busy_s: float


def busy_time(work: KernelWork, time_s: float, host_s: float) -> KernelTime:
    """Take the host's time off a measured one."""
    return KernelTime(work, max(time_s - host_s, _LEAST_BUSY * time_s))


def contraction_rates(
    times: Iterable[KernelTime], bare: Roofline, source: Source
) -> dict[RateKind, dict[PeakDType, Rate]]:
    """Return the FLOP/s of multiply-accumulate chains by kind and type, over the FLOPs of one kernel.

    A kernel that takes less than twice what its memory traffic takes says nothing of them, unless no other
    of its kind and type says more.

    Args:
        times: Of calls.
        bare: The roofline of the device with bandwidths alone.
        source: Where the times are from.
    """
    points: dict[tuple[WorkKind, str], list[tuple[float, Point]]] = {}
    for each in times:
        flops = each.work.contraction_flops
        if each.work.kind in CONTRACTIONS:
            bound = bare.memory_s(each.work) / each.busy_s
            points.setdefault((each.work.kind, each.work.dtype), []).append(
                (bound, (flops, flops / each.busy_s))
            )
    rates: dict[RateKind, dict[PeakDType, Rate]] = {}
    for (kind, dtype), found in points.items():
        limit = max(0.5, min(bound for bound, _ in found))
        curve = curve_of([point for bound, point in found if bound <= limit], source)
        rates.setdefault(cast(RateKind, kind), {})[cast(PeakDType, dtype)] = curve
    return rates


def kind_efficiencies(times: Iterable[KernelTime], bare: Roofline, source: Source) -> dict[WorkKind, Rate]:
    """Return the part of the streaming rate that kernels of a kind reach, over the bytes that they touch.

    Their arithmetic is part of it, but for pointwise kernels: those that it limits are left out, since
    functions differ in that and arithmetic has rates of its own.
    """
    points: dict[WorkKind, list[Point]] = {}
    for each in times:
        kind = each.work.kind
        if kind in CONTRACTIONS or (kind == "pointwise" and bare.latency(each.work).limiter == "compute"):
            continue
        ratio = bare.memory_s(each.work) / each.busy_s
        points.setdefault(kind, []).append((each.work.touched_bytes, ratio))
    return {kind: curve_of(found, source) for kind, found in points.items()}


def resident_speedups(
    cold: Sequence[KernelTime], warm: Sequence[KernelTime], source: Source
) -> dict[WorkKind, Rate]:
    """Return how many times faster kernels of each kind are when the same call came just before.

    Args:
        cold: Of calls after many others.
        warm: Of the same calls when they are repeated.
        source: Where the times are from.
    """
    points: dict[WorkKind, list[Point]] = {}
    for first, again in zip(cold, warm, strict=True):
        speedup = max(1.0, first.busy_s / again.busy_s)
        points.setdefault(first.work.kind, []).append((first.work.touched_bytes, speedup))
    return {kind: curve_of(found, source) for kind, found in points.items()}


def curve_of(points: Iterable[Point], source: Source) -> Rate:
    """Return the curve through the geometric means of the points within each power of two."""
    octaves: dict[int, list[Point]] = {}
    for amount, rate in points:
        octaves.setdefault(round(log2(amount)), []).append((amount, rate))
    curve = tuple(
        (round(geometric_mean([amount for amount, _ in each])), geometric_mean([rate for _, rate in each]))
        for _, each in sorted(octaves.items())
    )
    return Rate(curve=curve, kind="measured", source=source)
