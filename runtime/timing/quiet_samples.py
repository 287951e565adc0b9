"""Selection of samples taken while the machine was otherwise idle."""

import os
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

IDLE_CPUS = 0.1
"""Load of other processes, in CPUs, up to which a machine counts as idle; 0.02 was seen on a 2-core VM."""

_STAT = Path("/proc/stat")


class OtherLoad:
    """CPU time of other processes since it was made; Linux only, elsewhere nothing is known of others.

    Processes that this one started are none of them, once they have ended.
    """

    def __init__(self) -> None:
        self._start = _busy_s(), perf_counter()

    def cpus(self) -> float | None:
        """Return how many CPUs others kept busy since, on average; None where it is not known.

        Time that a hypervisor gave to other machines counts as busy.
        """
        busy_s, start_s = self._start
        now_s = _busy_s()
        if busy_s is None or now_s is None:
            return None
        return max(0.0, now_s - busy_s) / max(perf_counter() - start_s, 1e-9)


def quiet_samples(taken: Iterable[tuple[float | None, T]], least: int) -> list[T]:
    """Return the samples taken while others kept few CPUs busy, or the quietest where those are too few.

    Args:
        taken: The CPUs that other processes, and machines beside a virtual one, kept busy meanwhile (None
            where that is not known), and the sample.
        least: How many to return, at least; all where there are fewer.
    """
    ordered = sorted(((others or 0.0, index, each) for index, (others, each) in enumerate(taken)))
    quiet = sum(others <= IDLE_CPUS for others, _, _ in ordered)
    return [each for _, _, each in ordered[: max(least, quiet)]]


def _busy_s() -> float | None:
    """Return the seconds that all CPUs were busy with others since the system started."""
    if not _STAT.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, _STAT.read_text(encoding="utf-8").splitlines()[0].split()[1:]
    )
    own = os.times()
    total_s = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return total_s - own.user - own.system - own.children_user - own.children_system
