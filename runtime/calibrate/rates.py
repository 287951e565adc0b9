"""From the times of probes to the rates that a device file holds."""

# pyright: standard

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2
from statistics import geometric_mean

from steelyard.hw.base.kernel_work import KernelWork, WorkKind
from steelyard.hw.base.quantity import Point, Quantity, Rate, Source
from steelyard.hw.devices.measured_rates import MeasuredRates, PeakDType, RateKind
from steelyard.hw.latency.roofline import Roofline
from steelyard.runtime.calibrate.packed_kernel_law import CostLaw, Operands, fit_law

LIBRARY_KINDS: tuple[RateKind, ...] = (
    "contraction",
    "convolution",
    "depthwise_convolution",
    "attention",
)
"""Kinds of kernels that bring their operands into form, then do arithmetic, whatever the operation."""
_LEAST_BUSY = 0.1
"""The part of a measured time that is always taken to be work, however the overheads came out."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """Work of a microbenchmark and its seconds, without host time."""

    work: KernelWork
    busy_s: float


def busy_time(work: KernelWork, time_s: float, others_s: float) -> KernelTime:
    """Take off what is no part of the kernel."""
    return KernelTime(work, max(time_s - others_s, _LEAST_BUSY * time_s))


def with_library_kernels(base: MeasuredRates, times: Sequence[KernelTime], source: Source) -> MeasuredRates:
    """Add the rates of products, convolutions and attention.

    Types other than f32 are taken to share its overheads, and to move bytes at its rates.
    """
    rates: dict[RateKind, Mapping[PeakDType, Rate]] = dict(base.flops_per_s)
    overheads: dict[str, Quantity] = {}
    operands: dict[str, Rate] = {}
    results: dict[str, Rate] = {}
    awkward: dict[str, Rate] = {}
    for kind in LIBRARY_KINDS:
        of_kind = [each for each in times if each.work.kind == kind]
        in_f32 = [each for each in of_kind if each.work.dtype == "f32"]
        works, seconds = [each.work for each in in_f32], [each.busy_s for each in in_f32]
        law = fit_law([work.group for work in works], works, seconds)
        for group, each in law.operands.items():
            overheads[group] = Quantity(value=each.overhead_s, kind="measured", source=source)
            operands[group] = Rate(curve=each.curve, kind="measured", source=source, note=_error(law))
            results[group] = Rate(value=each.result_bytes_per_s, kind="measured", source=source)
        if law.awkward_bytes_per_s:
            awkward[kind] = Rate(value=law.awkward_bytes_per_s, kind="measured", source=source)
        flops_per_s: dict[PeakDType, float] = {"f32": law.flops_per_s}
        for dtype in ("f64", "bf16"):
            others = [each for each in of_kind if each.work.dtype == dtype]
            if others:
                flops_per_s[dtype] = geometric_mean(_flops_per_s(each, law.operands[kind]) for each in others)
        rates[kind] = {
            dtype: Rate(value=value, kind="measured", source=source) for dtype, value in flops_per_s.items()
        }
    return replace(
        base,
        flops_per_s=rates,
        operand_bandwidth_bytes_per_s=operands,
        result_bandwidth_bytes_per_s=results,
        awkward_bandwidth_bytes_per_s=awkward,
        kernel_overhead_s=overheads,
    )


def op_rates(times: Iterable[KernelTime], source: Source) -> dict[str, Rate]:
    """Return the bytes per second of every operation that is no library kernel, over the bytes it touches."""
    points: dict[str, list[Point]] = {}
    for each in times:
        if each.work.kind in LIBRARY_KINDS:
            continue
        touched_bytes = each.work.touched_bytes
        points.setdefault(each.work.op, []).append((touched_bytes, touched_bytes / each.busy_s))
    return {op: curve_of(found, source) for op, found in points.items()}


def kind_efficiencies(times: Iterable[KernelTime], bare: Roofline, source: Source) -> dict[WorkKind, Rate]:
    """Return the part of the streaming rate that kernels of a kind reach, for operations without a probe.

    A pointwise one that its arithmetic limits says nothing about it, since that has rates of its own.
    """
    points: dict[WorkKind, list[Point]] = {}
    for each in times:
        if each.work.kind in LIBRARY_KINDS:
            continue
        found = bare.latency(each.work)
        if each.work.kind == "pointwise" and found.limiter == "compute":
            continue
        points.setdefault(each.work.kind, []).append((each.work.touched_bytes, found.value_s / each.busy_s))
    return {kind: curve_of(found, source) for kind, found in points.items()}


def resident_speedups(
    times: Iterable[KernelTime], repeated: Iterable[KernelTime], source: Source
) -> dict[WorkKind, Rate]:
    """Return how many times faster kernels of each kind are when the same call came just before.

    Args:
        times: Of calls after many others.
        repeated: Of the same calls when they are repeated.
        source: Where the times are from.
    """
    points: dict[WorkKind, list[Point]] = {}
    for first, again in zip(times, repeated, strict=True):
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


def _flops_per_s(time: KernelTime, operands: Operands) -> float:
    work = time.work
    return work.contraction_flops / busy_time(work, time.busy_s, operands.seconds(work)).busy_s


def _error(law: CostLaw) -> str:
    return f"the law is {law.error:.0%} off on average where it was fitted"
