"""Selection of samples taken while the machine was otherwise idle."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

IDLE_CPUS = 0.1
"""Load of other processes, in CPUs, up to which a machine counts as idle; 0.02 was seen on a 2-core VM."""


def quiet_samples(taken: Iterable[tuple[float | None, T]], least: int) -> list[T]:
    """Return the samples taken on an idle machine, or those of least load if they are too few.

    Args:
        taken: Samples, each with the load of other processes and virtual machines meanwhile, in CPUs (None if
            unknown).
        least: Least number of samples to return; all if there are fewer.
    """
    ordered = sorted(((others or 0.0, index, each) for index, (others, each) in enumerate(taken)))
    quiet = sum(others <= IDLE_CPUS for others, _, _ in ordered)
    return [each for _, _, each in ordered[: max(least, quiet)]]
