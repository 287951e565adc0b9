"""Measuring the local CPU under torch, so that predictions for it rest on what it does."""

# pyright: standard

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from statistics import median

import torch

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.latency.roofline import Roofline
from steelyard.runtime.calibrate.drift import reference_times_s
from steelyard.runtime.calibrate.rates import (
    busy_time,
    contraction_rates,
    curve_of,
    kind_efficiencies,
    resident_speedups,
)
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, all_microbenchmarks
from steelyard.runtime.timing.dispatch_overhead import HostTime, host_time, typical_host_time
from steelyard.runtime.timing.host_cpu import cpu_model, host_device
from steelyard.runtime.timing.interleaved_rounds import ROUNDS, Timing, time_in_rounds
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.microbench import threads_set_to
from steelyard.runtime.timing.quiet_samples import IDLE_CPUS, OtherLoad
from steelyard.runtime.timing.stream_bandwidth import (
    pointwise_flops_per_s,
    streams,
    transcendental_flops_per_s,
)

STEADY_SPREAD = 1.3
"""Quartiles of the times of one microbenchmark are at most so far apart, for most, on an idle machine;
1.09 to 1.21 was seen on a virtual machine with two cores."""


def calibrate(
    threads: tuple[int, ...] | None = None,
    progress: Progress | None = None,
    name: str = "local-cpu",
    warn: Callable[[str], None] | None = None,
) -> Device:
    """Return the local CPU as a device, measured with each number of threads; write it with `write_device`.

    Microbenchmarks and the host's time are measured in rounds, then bandwidths and rates in cache.
    Contractions give rates of arithmetic, other kinds of kernels the part of the streaming rate they reach.

    Args:
        threads: Numbers of threads to measure with; None for as many as torch takes.
        progress: Told what is being measured.
        name: The name of the device.
        warn: Told if the machine was too busy for what was measured to be trusted.
    """
    counts = threads or (torch.get_num_threads(),)
    source = Source(title=f"calibrate on {cpu_model()}, torch {torch.__version__}", date=date.today())
    device = host_device(name, source)
    total = len(counts) * (1 + ROUNDS)

    def reach(done: int, what: str) -> None:
        if progress:
            progress(done, total, what)

    benchmarks = list(all_microbenchmarks())
    measured: list[MeasuredRates] = []
    for count in counts:
        first = len(measured) * (1 + ROUNDS)
        references_s = reference_times_s(count)
        with threads_set_to(count):
            rounds = _time_rounds(benchmarks, partial(_tell_round, reach, first, count))
            complaint = busy_machine(rounds.others_cpus, median(each.spread for each in rounds.timings))
            if warn and complaint:
                warn(complaint)
            host = typical_host_time(rounds.hosts)
            reach(first + ROUNDS, f"{count} threads: bandwidth, rates in cache")
            base = replace(
                _basics(count, host, source),
                references_per_s={
                    kind: Rate(value=1 / time_s, kind="measured", source=source)
                    for kind, time_s in references_s.items()
                },
            )
            works = [each.work() for each in benchmarks]
            measured.append(_with_kernels(device, base, works, rounds.timings, host, source))
    reach(total, "done")
    return replace(device, sustained=tuple(measured))


def _tell_round(reach: Callable[[int, str], None], first: int, threads: int, done: int, load: str) -> None:
    reach(first + done, f"{threads} threads: kernels{load}")


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Times of microbenchmarks in rounds, with host and reference kernels before each."""

    timings: list[Timing]
    hosts: list[HostTime]
    others_cpus: float | None


def _time_rounds(benchmarks: Sequence[Microbenchmark], reach: Callable[[int, str], None]) -> _Rounds:
    hosts, load = list[HostTime](), OtherLoad()

    def begin_round() -> None:
        others_cpus = load.cpus() or 0.0
        disturbed = f", beside other processes on {others_cpus:.1f} CPUs" * (others_cpus > IDLE_CPUS)
        reach(len(hosts), disturbed)
        hosts.append(host_time())

    with memory_kept():
        timings = time_in_rounds([(each.runnable(), each.runnable()) for each in benchmarks], begin_round)
    return _Rounds(timings, hosts, load.cpus())


def busy_machine(others_cpus: float | None, spread: float) -> str | None:
    """Say why times cannot be trusted, None where they can.

    Args:
        others_cpus: CPUs that other processes kept busy meanwhile, where that is known.
        spread: The ratio of the quartiles of the times of one microbenchmark.
    """
    advice = "what was measured is too slow; calibrate again when nothing else runs"
    if others_cpus is not None and others_cpus > IDLE_CPUS:
        return f"other processes kept {others_cpus:.2f} CPUs busy, where {IDLE_CPUS} is the most; {advice}"
    if spread > STEADY_SPREAD:
        return f"times varied by a factor of {spread:.2f}, where {STEADY_SPREAD} is the most; {advice}"
    return None


def _with_kernels(
    device: Device,
    base: MeasuredRates,
    works: Sequence[KernelWork],
    timings: Sequence[Timing],
    host: HostTime,
    source: Source,
) -> MeasuredRates:
    """Add the rates of kinds of kernels to those that all kernels share."""
    context = ExecutionContext(threads=base.threads, host_overhead=False)
    bare = Roofline(replace(device, sustained=(base,)), context)
    pairs = list(zip(works, timings, strict=True))
    cold = [busy_time(work, timing.typical_s, host.repeated_s) for work, timing in pairs]
    warm = [busy_time(work, timing.repeated_s, host.repeated_s) for work, timing in pairs]
    return replace(
        base,
        flops_per_s={**base.flops_per_s, **contraction_rates(cold, bare, source)},
        memory_efficiency=kind_efficiencies(cold, bare, source),
        resident_speedup=resident_speedups(cold, warm, source),
    )


def _basics(threads: int, host: HostTime, source: Source) -> MeasuredRates:
    """Return overheads, bandwidths and the rates of pointwise arithmetic."""

    def told(value: float) -> Quantity:
        return Quantity(value=value, kind="measured", source=source)

    def rate(value: float) -> Rate:
        return Rate(value=value, kind="measured", source=source)

    found = streams(host.repeated_s)
    return MeasuredRates(
        threads=threads,
        flops_per_s={
            "pointwise": {dtype: rate(pointwise_flops_per_s(dtype)) for dtype in ("f32", "f64")},
            "transcendental": {dtype: rate(transcendental_flops_per_s(dtype)) for dtype in ("f32", "f64")},
        },
        memory_bandwidth_bytes_per_s=curve_of(found.touched, source),
        fresh_page_bytes_per_s=rate(found.fresh_bytes_per_s),
        dispatch_overhead_s=told(host.kernel_s),
        view_overhead_s=told(host.view_s),
    )
