"""Measuring the local CPU under torch, so that predictions for it rest on what it does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from math import log2
from statistics import geometric_mean

import torch

from steelyard.hw.device import Device, PeakDType, RateKind, Sustained
from steelyard.hw.quantity import Point, Quantity, Rate, Source
from steelyard.hw.roofline import Roofline
from steelyard.hw.work import ExecutionContext, WorkKind
from steelyard.runtime.host_cpu import cpu_model, host_device, usable_cpus
from steelyard.runtime.microbench import threads_set_to, typical_s
from steelyard.runtime.probes import TORCH_DTYPES, Probe, memory_probes, rate_probes

Progress = Callable[[int, int, str], None]
"""Told before every measurement, and after the last: how many are done, how many there are, which is next."""

_aten = torch.ops.aten
_TINY = (8, 8)
_STREAM_ELEMENTS = tuple(4**power for power in range(6, 14))
_IN_CACHE_ELEMENTS = 2**17
_OVERHEAD_CALLS = 500
_HARDSWISH_FLOPS = 5
_LEAST_BUSY = 0.1
"""The part of a measured time that is always taken to be work, however the overheads came out."""


def calibrate(
    threads: tuple[int, ...] | None = None, progress: Progress | None = None, name: str = "local-cpu"
) -> Device:
    """Return the local CPU as a device, measured with each number of threads; write it with `write_device`.

    Overheads and bandwidths are measured first. The rates of arithmetic and the part of the bandwidth that
    each kind of kernel reaches are then those with which the roofline gives back what the probes took.

    Args:
        threads: Numbers of threads to measure with; None for all CPUs.
        progress: Told what is being measured.
        name: The name of the device.
    """
    counts = threads or (usable_cpus(),)
    source = Source(title=f"calibrate on {cpu_model()}, torch {torch.__version__}", date=date.today())
    device = host_device(name, source)
    rates, moves = rate_probes(), list(memory_probes())
    steps = _Steps(len(counts) * (1 + len(moves) + sum(map(len, rates.values()))), progress)
    measured: list[Sustained] = []
    for count in counts:
        with threads_set_to(count):
            steps.next(f"{count} threads: overheads, bandwidth and pointwise arithmetic")
            base = _basics(count, source)
            bare = Roofline(
                replace(device, sustained=(base,)), ExecutionContext(threads=count, host_overhead=False)
            )
            overhead_s = base.dispatch_overhead_s.value if base.dispatch_overhead_s else 0.0
            bench = _Bench(bare, overhead_s, steps, source)
            measured.append(
                replace(
                    base,
                    flops_per_s={**base.flops_per_s, **bench.flops_per_s(rates)},
                    memory_efficiency=bench.memory_efficiency(moves),
                )
            )
    steps.next("done")
    return replace(device, sustained=tuple(measured))


class _Steps:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress

    def next(self, label: str) -> None:
        if self._progress:
            self._progress(self._done, self._total, label)
        self._done += 1


@dataclass(frozen=True, slots=True)
class _Bench:
    """Times probes and divides out what is known already.

    Attributes:
        bare: The roofline of the overheads, bandwidths and pointwise rates alone, without the host's time.
        overhead_s: Host time of one operation.
        steps: Told of every probe.
        source: Of the numbers.
    """

    bare: Roofline
    overhead_s: float
    steps: _Steps
    source: Source

    def flops_per_s(
        self, probes: dict[tuple[RateKind, PeakDType], list[Probe]]
    ) -> dict[RateKind, dict[PeakDType, Rate]]:
        rates: dict[RateKind, dict[PeakDType, Rate]] = {}
        for (kind, dtype), group in probes.items():
            points: list[Point] = []
            for probe in group:
                work = probe.work
                others = replace(work, contraction_flops=0, bytes_read=0, bytes_written=0, allocated_bytes=0)
                busy_s = self._busy_s(probe, self.bare.latency(others).value_s)
                points.append((work.contraction_flops, work.contraction_flops / busy_s))
            rates.setdefault(kind, {})[dtype] = _rate(points, self.source)
        return rates

    def memory_efficiency(self, probes: Iterable[Probe]) -> dict[WorkKind, Rate]:
        points: dict[WorkKind, list[Point]] = {}
        for probe in probes:
            work = probe.work
            efficiency = self.bare.latency(work).value_s / self._busy_s(probe)
            points.setdefault(work.kind, []).append((work.bytes_read + work.bytes_written, efficiency))
        return {kind: _rate(each, self.source) for kind, each in points.items()}

    def _busy_s(self, probe: Probe, others_s: float = 0.0) -> float:
        self.steps.next(probe.name)
        time_s = typical_s(probe.prepare(), kept_bytes=probe.work.allocated_bytes)
        return max(time_s - self.overhead_s - others_s, _LEAST_BUSY * time_s)


def _basics(threads: int, source: Source) -> Sustained:
    """Return overheads, bandwidths and the rates of pointwise arithmetic."""
    tiny = torch.rand(_TINY)
    dispatch_s = _repeated_s(lambda: _aten.add.Tensor(tiny, tiny))
    streams: list[Point] = []
    fresh: list[Point] = []
    for elements in _STREAM_ELEMENTS:
        left, right, out = (torch.ones(elements) for _ in range(3))
        touched_bytes, result_bytes = 12 * elements, 4 * elements
        warm_s = typical_s(lambda: _aten.add.out(left, right, out=out))  # noqa: B023
        warm_s = max(warm_s - dispatch_s, _LEAST_BUSY * warm_s)
        streams.append((touched_bytes, touched_bytes / warm_s))
        cold_s = typical_s(lambda: _aten.add.Tensor(left, right), kept_bytes=result_bytes)  # noqa: B023
        # The result takes a third of the traffic, and what is new is never faster than what is not.
        result_s = max(cold_s - dispatch_s - warm_s * 2 / 3, warm_s / 3)
        fresh.append((result_bytes, result_bytes / result_s))
    return Sustained(
        threads=threads,
        flops_per_s={
            "pointwise": {"f32": _pointwise("f32", source), "f64": _pointwise("f64", source)},
            "transcendental": {"f32": _transcendental("f32", source), "f64": _transcendental("f64", source)},
        },
        memory_bandwidth_bytes_per_s=_rate(streams, source),
        allocation_bandwidth_bytes_per_s=_rate(fresh, source),
        dispatch_overhead_s=Quantity(value=dispatch_s, kind="measured", source=source),
        view_overhead_s=Quantity(
            value=_repeated_s(lambda: _aten.view.default(tiny, [64])), kind="measured", source=source
        ),
    )


def _pointwise(dtype: PeakDType, source: Source) -> Rate:
    """Return the rate of hardswish in cache: an addition, two comparisons, a product, a division."""
    x = torch.rand(_IN_CACHE_ELEMENTS, dtype=TORCH_DTYPES[dtype])
    out = torch.empty_like(x)
    time_s = typical_s(lambda: _aten.hardswish.out(x, out=out))
    return Rate(value=_HARDSWISH_FLOPS * _IN_CACHE_ELEMENTS / time_s, kind="measured", source=source)


def _transcendental(dtype: PeakDType, source: Source) -> Rate:
    """Return the mean rate of some functions in cache, in results per second."""
    x = torch.rand(_IN_CACHE_ELEMENTS, dtype=TORCH_DTYPES[dtype])
    out = torch.empty_like(x)
    functions = (_aten.exp.out, _aten.tanh.out, _aten.erf.out, _aten.log.out)
    times_s = [typical_s(lambda: function(x, out=out)) for function in functions]  # noqa: B023
    return Rate(value=_IN_CACHE_ELEMENTS / geometric_mean(times_s), kind="measured", source=source)


def _repeated_s(run: Callable[[], object]) -> float:
    """Return the seconds of one call of what is too short to be timed alone."""

    def many() -> None:
        for _ in range(_OVERHEAD_CALLS):
            run()

    return typical_s(many) / _OVERHEAD_CALLS


def _rate(points: Iterable[Point], source: Source) -> Rate:
    """Return the curve through the geometric means of the points within each power of two."""
    octaves: dict[int, list[Point]] = {}
    for amount, rate in points:
        octaves.setdefault(round(log2(amount)), []).append((amount, rate))
    curve = tuple(
        (round(geometric_mean([amount for amount, _ in each])), geometric_mean([rate for _, rate in each]))
        for _, each in sorted(octaves.items())
    )
    return Rate(curve=curve, kind="measured", source=source)
