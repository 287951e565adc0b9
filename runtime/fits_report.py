"""What `fits` and `max-batch` print."""

from collections.abc import Sequence

from steelyard.hw.units import format_bytes
from steelyard.runtime.fits import Fit
from steelyard.runtime.ways_to_fit import Way


def format_fit(fit: Fit, ways: Sequence[Way]) -> str:
    """Return the terms of a fit, one a line, and the ways to make it fit."""
    value, low, high = fit.margin_bytes
    context = fit.context_bytes[0]
    lines = [
        f"{'yes' if fit.fits else 'NO'}: {'fits' if fit.fits else 'does not fit'} into {fit.device}",
        _line("memory of the device", fit.capacity_bytes),
        _line("context and libraries", context),
        _line("left free on request", fit.reserve_bytes),
        _line("peak of tensors", fit.peak_allocated_bytes, f"at {fit.place}" if fit.fits else ""),
        _line("  in the first step", fit.first_step_bytes),
        _line("peak of the allocator", fit.peak_reserved_bytes, "with its cache and gaps"),
        _line("margin", value, f"{_signed(low)} to {_signed(high)}"),
    ]
    if fit.why:
        lines.append(f"runs out at {fit.place}: {fit.why}")
    lines += [
        f"{'fits' if way.fits else 'still not'} with {way.change}: "
        f"peak {format_bytes(way.peak_reserved_bytes)}, {way.time_per_sample:.2f}x the time a sample"
        for way in ways
    ]
    return "\n".join(lines)


def _line(name: str, size_bytes: int, note: str = "") -> str:
    return f"{name:24}{_signed(size_bytes):>12}  {note}".rstrip()


def _signed(size_bytes: int) -> str:
    return f"-{format_bytes(-size_bytes)}" if size_bytes < 0 else format_bytes(size_bytes)
