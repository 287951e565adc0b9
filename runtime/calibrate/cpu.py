"""Measuring the local CPU under torch, so that predictions for it rest on what it does."""

# pyright: standard

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median

import torch

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.latency.roofline import Roofline
from steelyard.runtime.calibrate.rates import (
    busy_time,
    curve_of,
    kind_efficiencies,
    op_rates,
    resident_speedups,
    with_library_kernels,
)
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, work_of_probe
from steelyard.runtime.microbenchmarks.suite import all_probes
from steelyard.runtime.timing.cpu_contention import OtherLoad
from steelyard.runtime.timing.dispatch_overhead import HostTime, host_time, typical_host_time
from steelyard.runtime.timing.drift_references import References
from steelyard.runtime.timing.host_cpu import cpu_model, host_device
from steelyard.runtime.timing.interleaved_rounds import ROUNDS, Timing, time_in_rounds
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.microbench import threads_set_to
from steelyard.runtime.timing.quiet_samples import IDLE_CPUS
from steelyard.runtime.timing.stream_bandwidth import (
    pointwise_flops_per_s,
    streams,
    transcendental_flops_per_s,
)

_LOOKS = 3
"""Of the reference kernels before each round, so that they are as warm as beside steps."""

STEADY_SPREAD = 1.3
"""Quartiles of the times of one probe are at most so far apart, for most probes, on an idle machine;
1.09 to 1.21 was seen on a virtual machine with two cores."""


def calibrate(
    threads: tuple[int, ...] | None = None,
    progress: Progress | None = None,
    name: str = "local-cpu",
    warn: Callable[[str], None] | None = None,
) -> Device:
    """Return the local CPU as a device, measured with each number of threads; write it with `write_device`.

    Kernels of real models, and the host's time, are measured in rounds, then bandwidths and rates in cache:
    products, convolutions and attention give the constants of a law, other operations their own rates.

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

    with torch.no_grad():
        probes = list(all_probes())
        works = [work_of_probe(probe) for probe in probes]
    touched_bytes = {probe.name: work.touched_bytes for probe, work in zip(probes, works, strict=True)}
    measured: list[MeasuredRates] = []
    for count in counts:
        first = len(measured) * (1 + ROUNDS)
        with threads_set_to(count):
            rounds = _time_rounds(probes, count, lambda done, what: reach(first + done, what))  # noqa: B023
            complaint = busy_machine(rounds.others_cpus, median(each.spread for each in rounds.timings))
            if warn and complaint:
                warn(complaint)
            host = typical_host_time(rounds.hosts)
            reach(first + ROUNDS, f"{count} threads: bandwidth, rates in cache")
            references_per_s = _references_per_s(touched_bytes, rounds.looks, source)
            base = replace(_basics(count, host, source), references_per_s=references_per_s)
            measured.append(_with_kernels(device, base, works, rounds.timings, host, source))
    reach(total, "done")
    return replace(device, sustained=tuple(measured))


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Times of microbenchmarks in rounds, with host and reference kernels before each."""

    timings: list[Timing]
    hosts: list[HostTime]
    looks: list[dict[str, float]]
    others_cpus: float | None


def _time_rounds(
    probes: Sequence[Microbenchmark], threads: int, reach: Callable[[int, str], None]
) -> _Rounds:
    hosts, looks, load = list[HostTime](), list[dict[str, float]](), OtherLoad()
    with References(threads) as references, memory_kept():

        def begin_round() -> None:
            reach(len(hosts), f"{threads} threads: kernels of models")
            looks.extend(references.times_s() for _ in range(_LOOKS))
            hosts.append(host_time())

        timings = time_in_rounds(probes, begin_round)
    return _Rounds(timings, hosts, looks, load.cpus())


def busy_machine(others_cpus: float | None, spread: float) -> str | None:
    """Say why times cannot be trusted, None where they can.

    Args:
        others_cpus: CPUs that other processes kept busy meanwhile, where that is known.
        spread: The ratio of the quartiles of the times of one probe.
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
    """Add what the times of the probes show."""
    context = ExecutionContext(threads=base.threads, host_overhead=False)
    bare = Roofline(replace(device, sustained=(base,)), context)
    typical_s = [timing.typical_s for timing in timings]
    repeated_s = [timing.repeated_s for timing in timings]
    times = [busy_time(*each, host.repeated_s) for each in zip(works, typical_s, strict=True)]
    repeated = [busy_time(*each, host.repeated_s) for each in zip(works, repeated_s, strict=True)]
    return replace(
        with_library_kernels(base, times, source),
        op_bandwidth_bytes_per_s=op_rates(times, source),
        memory_efficiency=kind_efficiencies(times, bare, source),
        resident_speedup=resident_speedups(times, repeated, source),
    )


def _references_per_s(
    touched_bytes: Mapping[str, int], looks: Sequence[Mapping[str, float]], source: Source
) -> dict[str, Rate]:
    """Return how often each reference kernel ran in a second, by the median of its times."""
    return {
        name: Rate(
            curve=((touched_bytes[name], 1 / median(look[name] for look in looks)),),
            kind="measured",
            source=source,
        )
        for name in looks[0]
    }


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
