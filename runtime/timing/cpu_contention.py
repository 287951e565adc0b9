"""CPU contention: load of other processes during a measurement."""

import os
from pathlib import Path
from time import perf_counter

_STAT = Path("/proc/stat")


class OtherLoad:
    """Counts from when it is made; Linux only, elsewhere nothing is known of others.

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
