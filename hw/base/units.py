"""The conventions of every number in Steelyard, in one place, and how numbers are shown and read.

- 1 multiply-accumulate = 2 FLOPs (`FLOPS_PER_MAC`); an integer operation counts like a floating-point one.
- Rates are decimal: 1 GB/s = 1e9 bytes/s, 1 TFLOP/s = 1e12 FLOP/s.
- Capacities say what they are: 1 GiB = 2**30 bytes, 1 GB = 1e9 bytes.
- The unit is the suffix of the name (`_bytes`, `_flops`, `_bytes_per_s`, `_s`, `_us`), never a comment.
"""

import re
from collections.abc import Callable

from steelyard.hw.base.errors import UsageError

FLOPS_PER_MAC = 2
KIB = 2**10
MIB = 2**20
GIB = 2**30

_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SIZE = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*(?:(?:([kmgtp])(i?))?b)?\s*", re.IGNORECASE)


def format_bytes(size_bytes: float) -> str:
    """Return a size in binary units with three digits, as in "1.50 GiB"."""
    return _scaled(size_bytes, 1024, _BINARY)


def format_flops(count_flops: float) -> str:
    """Return a number of operations in decimal units with three digits, as in "2.00 TFLOP"."""
    return _scaled(count_flops, 1000, tuple(f"{prefix}FLOP" for prefix in _DECIMAL))


def format_us(time_us: float) -> str:
    """Return a time given in microseconds as microseconds, milliseconds or seconds, as in "4.20 ms"."""
    return _scaled(time_us, 1000, ("us", "ms", "s"))


def bounded(format_value: Callable[[float], str], value: float, unknown: int) -> str:
    """Return a figure with the sign of a lower bound where something is not in it, as in ">= 1.50 GiB".

    Args:
        format_value: Formats the figure.
        value: What is known.
        unknown: How many parts are not known; with none of them known it is "?".
    """
    if not unknown:
        return format_value(value)
    return f">= {format_value(value)}" if value else "?"


def parse_bytes(text: str) -> int:
    """Return the bytes that a size such as "80 GiB", "24GB" or "4096" names.

    Raises:
        UsageError: `text` is no such size.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise UsageError(
            what=f"{text!r} is not a size",
            why="a size is a number and a unit",
            fix='write it like "80 GiB" (2**30 bytes each), "24 GB" (1e9 bytes each) or "4096"',
        )
    number, prefix, binary = match.groups()
    exponent = "kmgtp".index(prefix.lower()) + 1 if prefix else 0
    return round(float(number.replace("_", "")) * (1024 if binary else 1000) ** exponent)


def _scaled(value: float, base: int, names: tuple[str, ...]) -> str:
    index = 0
    while abs(value) >= base and index < len(names) - 1:
        value /= base
        index += 1
    if index == 0 and float(value).is_integer():
        return f"{value:.0f} {names[0]}"
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f} {names[index]}"
