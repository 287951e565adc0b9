"""How kernels change with the state of this machine, and what its pace explains of it.

python benchmarks/pace.py local.toml 240      # the file that calibrate wrote; so many idle seconds

All probes of `calibrate` take turns. A small operation before and after each call tells the state: it takes
longer where the CPUs hand their data over by a longer way. The reference kernels explain how all others
change (docs/adr/0011-pace.md).
"""

import argparse
from collections.abc import Sequence
from math import inf
from statistics import median
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from steelyard.hw.devices.registry import load_device
from steelyard.runtime.microbenchmarks.microbenchmark import work_of_probe
from steelyard.runtime.microbenchmarks.suite import all_probes
from steelyard.runtime.timing.drift_references import REFERENCES
from steelyard.runtime.timing.interleaved_rounds import time_among_others
from steelyard.runtime.timing.machine_drift import OWN_BYTES, explain, time_parts
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.microbench import threads_set_to

_SMALL = torch.ones(40_000)
_STREAM_BYTES = 16e6
_LEAST_CALLS = 3


def label_s() -> float:
    """Return what the small operation takes now."""
    times_s = list[float]()
    for _ in range(19):
        start = perf_counter()
        torch.mul(_SMALL, 2.0, out=_SMALL).fill_(1.0)
        times_s.append(perf_counter() - start)
    return median(times_s[10:])


def measure(seconds: float) -> list[list[tuple[float, float, float]]]:
    """Return the calls of each probe: the label before, the seconds of the call, the label after."""
    held = [(probe, probe.operands(), probe.operands()) for probe in all_probes()]
    calls: list[list[tuple[float, float, float]]] = [[] for _ in held]
    for each in held:
        time_among_others(*each)
    start, before_s = perf_counter(), label_s()
    while perf_counter() < start + seconds:
        for found, each in zip(calls, held, strict=True):
            time_s = time_among_others(*each)[1]
            after_s = label_s()
            found.append((before_s, time_s, after_s))
            before_s = after_s
    return calls


def by_state(
    calls: Sequence[Sequence[tuple[float, float, float]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the typical seconds of each probe where the label is short, and where it is long."""
    low_s, high_s = np.quantile([before_s for each in calls for before_s, *_ in each], [0.1, 0.9])
    middle_s = (low_s * high_s) ** 0.5
    short = [[time_s for one, time_s, two in each if max(one, two) < middle_s] for each in calls]
    long = [[time_s for one, time_s, two in each if min(one, two) > middle_s] for each in calls]
    print(
        f"labels {low_s * 1e6:.1f} and {high_s * 1e6:.1f} us, "
        f"{sum(map(len, short))} and {sum(map(len, long))} calls"
    )
    fewest = min(len(each) for state in (short, long) for each in state)
    if fewest < _LEAST_CALLS:
        raise SystemExit(
            f"a probe ran {fewest} times in one of the states, {_LEAST_CALLS} are needed: take longer"
        )
    return np.array([median(each) for each in short]), np.array([median(each) for each in long])


def report(
    label: str, errors: NDArray[np.float64], time_s: NDArray[np.float64], streams: NDArray[np.bool_]
) -> None:
    rms, weighted = np.sqrt((errors**2).mean()), np.average(abs(errors), weights=time_s)
    print(f"| {label} | {rms:.1%} | {weighted:.1%} | {np.sqrt((errors[streams] ** 2).mean()):.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("device")
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    sustained = load_device(given.device).sustained_with(None)
    bandwidth = sustained.memory_bandwidth_bytes_per_s
    assert bandwidth and sustained.threads, "calibrate measures both"
    touched = np.array([work_of_probe(probe).touched_bytes for probe in all_probes()], float)
    with threads_set_to(sustained.threads), memory_kept():
        short_s, long_s = by_state(measure(given.seconds))
    change = np.log(long_s / short_s)
    others = np.ones(len(touched), bool)
    others[REFERENCES] = False
    streams = (touched > _STREAM_BYTES) & (touched / bandwidth.at(inf) > 0.8 * short_s)
    print(
        f"| explained by | {others.sum()} others, rms | mean by time "
        f"| {(others & streams).sum()} streams, rms |"
    )
    print("|---|--:|--:|--:|")
    report("nothing", change[others], short_s[others], streams[others])
    own_bytes = OWN_BYTES * sustained.threads
    for label, cached_bytes in (("memory and the rest", 0.0), ("memory, caches and the rest", own_bytes)):
        rows = [
            time_parts(*each, bandwidth.at(inf), cached_bytes) for each in zip(short_s, touched, strict=True)
        ]
        parts = np.array(rows)
        slower = explain(parts[~others], change[~others])
        errors = change - np.log(parts @ slower)
        report(
            f"{label}: {', '.join(f'{each:.2f}' for each in slower)}",
            errors[others],
            short_s[others],
            streams[others],
        )


if __name__ == "__main__":
    main()
