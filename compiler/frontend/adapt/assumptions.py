"""Assumptions: sentences on what a capture takes for granted, collected where they are made."""

# pyright: standard

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_COLLECTED: ContextVar[dict[str, None] | None] = ContextVar("assumptions", default=None)


def assume(sentence: str) -> None:
    """Add a sentence to the assumptions of the capture that runs, once."""
    collected = _COLLECTED.get()
    if collected is not None:
        collected[sentence] = None


@contextmanager
def collecting() -> Iterator[dict[str, None]]:
    """Collect the assumptions made inside, as the keys of a dictionary."""
    collected: dict[str, None] = {}
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)
