"""Malloc settings that keep freed memory, so that timed code causes no page faults."""

# pyright: standard

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from steelyard.hw.allocators.cpu import MAPPED_FROM_BYTES

# Options of mallopt, malloc.h of glibc; a trim threshold of -1 means never.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_MOST_MAPPINGS = 65536


@contextmanager
def memory_kept() -> Iterator[None]:
    """Make malloc keep freed memory inside the block; afterwards restore the state of a long-running process.

    C libraries other than glibc are left unchanged.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        # Where its own rule ends once large blocks were freed, which it follows no more.
        libc.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * MAPPED_FROM_BYTES)
        libc.mallopt(_M_MMAP_MAX, _MOST_MAPPINGS)
