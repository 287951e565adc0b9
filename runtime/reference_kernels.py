"""Kernels by which a machine that was calibrated knows its own pace: some of the probes of `calibrate`.

As a program, with a number of threads, it answers each line on stdin with how many of each kind ran in a
second, as a line of JSON.
"""

# pyright: standard

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from statistics import geometric_mean

from steelyard.hw.work import KernelWork, WorkKind
from steelyard.runtime.kept_memory import memory_kept
from steelyard.runtime.microbench import threads_set_to
from steelyard.runtime.probe import work_of_probe
from steelyard.runtime.probes import all_probes
from steelyard.runtime.rounds import time_among_others

REFERENCES = slice(6, None, 7)
"""Every seventh probe of `calibrate`, of nearly all kinds, and none too large to be held beside a model."""


def references_per_s(works: Iterable[KernelWork], times_s: Iterable[float]) -> dict[WorkKind, float]:
    """Return how many reference kernels of each kind run in a second, as geometric means.

    Args:
        works: What each does.
        times_s: The seconds that it takes.
    """
    kinds = defaultdict[WorkKind, list[float]](list)
    for work, time_s in zip(works, times_s, strict=True):
        kinds[work.kind].append(1 / time_s)
    return {kind: geometric_mean(found) for kind, found in kinds.items()}


def _answer(requests: Iterable[str]) -> None:
    """Write what the reference kernels take, a line of JSON for each request."""
    probes = list(all_probes())[REFERENCES]
    works = [work_of_probe(probe) for probe in probes]
    held = [(probe, probe.operands(), probe.operands()) for probe in probes]
    for _ in requests:
        # Results are kept for the while, as where `calibrate` times them.
        timed = [time_among_others(*each) for each in held]
        found = references_per_s(works, [time_s for _, time_s in timed])
        del timed
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with threads_set_to(int(sys.argv[1])), memory_kept():
        _answer(sys.stdin)
