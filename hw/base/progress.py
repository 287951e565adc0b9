"""Progress reports of long computations."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called before each step and at the end: steps done, steps in total, and the label of the next one."""

Warn = Callable[[str], None]
"""Called with a sentence on what makes a measurement less sure."""


def ignore(*_: object) -> None:
    """Report nothing."""
