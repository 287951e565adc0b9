"""Python's cycle collector, which looks at all objects again and again while a program grows."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Generator[None]:
    """Keep the cycle collector from running inside: it takes time, and ends lifetimes at random moments."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
