"""The releases of torch that were tried."""

# pyright: standard

import warnings
from functools import cache

import torch

NEWEST_TRIED = (2, 15)


@cache
def warn_if_untried() -> None:
    """Warn, once a process, where torch is newer than any release that was tried."""
    release = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if release > NEWEST_TRIED:
        newest = ".".join(map(str, NEWEST_TRIED))
        warnings.warn(
            f"torch {torch.__version__} is newer than {newest}, the newest that Steelyard was tried with; "
            "where a capture fails, constraints.txt has the tested set",
            stacklevel=2,
        )
