"""Choosing, among times taken again and again, those that nobody disturbed."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

IDLE_CPUS = 0.1
"""CPUs that others keep busy on an idle machine, at most; 0.02 was seen on a virtual one with two cores."""


def calm_of(taken: Iterable[tuple[float | None, T]], least: int) -> list[T]:
    """Return what was taken while others kept few CPUs busy, or the calmest where that is too little.

    Args:
        taken: The CPUs that other processes, and machines beside a virtual one, kept busy meanwhile (None
            where that is not known), and what was taken.
        least: How many to return, at least; all where there are fewer.
    """
    ordered = sorted(((others or 0.0, index, each) for index, (others, each) in enumerate(taken)))
    calm = sum(others <= IDLE_CPUS for others, _, _ in ordered)
    return [each for _, _, each in ordered[: max(least, calm)]]
