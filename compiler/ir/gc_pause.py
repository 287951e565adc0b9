"""Pause of Python's cyclic garbage collector, which rescans every object as a program grows."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Generator[None]:
    """Disable the cyclic collector inside: it costs time and ends lifetimes at arbitrary moments."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
