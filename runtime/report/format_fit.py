"""Format of `fits` and `max-batch`."""

from collections.abc import Iterator, Mapping, Sequence

from steelyard.hw.base.units import format_bytes
from steelyard.runtime.capacity.fits import MemoryFit
from steelyard.runtime.capacity.suggestions import Suggestion

_SHOWN = 5
"""Modules and source lines that the table shows; JSON has all."""


def format_fit(fit: MemoryFit, ways: Sequence[Suggestion]) -> str:
    """Return the terms of a fit, one a line, what is alive at the peak, and the ways to make it fit."""
    value, low, high = fit.margin_bytes
    context, context_low, context_high = fit.context_bytes
    lines = [
        _answer(fit),
        _line("memory of the device", fit.capacity_bytes),
        _line("context and libraries", context, _range(context_low, context_high)),
        _line("left free on request", fit.reserve_bytes),
        _line("peak of tensors", fit.peak_allocated_bytes, f"at {fit.place}" if fit.fits else ""),
        _line("  in the first step", fit.first_step_bytes),
        _line("peak of the allocator", fit.peak_reserved_bytes, "with its cache and gaps"),
        _line("margin", value, _range(low, high)),
    ]
    if fit.why:
        lines.append(f"runs out at {fit.place}: {fit.why}")
    lines += ["", *_table("at the peak, by category", fit.by_category, len(fit.by_category))]
    lines += ["", *_table("of the tensors, by module", fit.by_module, _SHOWN)]
    lines += ["", *_table("of the tensors, by source line", fit.by_source, _SHOWN)]
    if ways:
        lines += ["", *(_way(way) for way in ways)]
    peaks = {way.change: way.peak_reserved_bytes for way in ways if way.peak_reserved_bytes is not None}
    if peaks and not any(way.fits for way in ways):
        change = min(peaks, key=lambda each: peaks[each])
        lines.append(
            f"nothing is enough by itself; the least is {format_bytes(peaks[change])}, with {change}"
        )
    return "\n".join(lines)


def _answer(fit: MemoryFit) -> str:
    if not fit.fits:
        return f"NO: does not fit into {fit.device}"
    if not fit.unknown_by_op:
        return f"yes: fits into {fit.device}"
    names = ", ".join(f"{name} ({count})" for name, count in fit.unknown_by_op.items())
    return f"yes, if these ops of unknown work take no more than is left: {names}"


def _way(way: Suggestion) -> str:
    if way.peak_reserved_bytes is None:
        return f"not with {way.change}: {way.why}"
    time = f"{way.time_per_sample:.2f}x the time a sample" if way.time_per_sample else "time not known"
    verdict = "fits" if way.fits else "still not"
    return f"{verdict} with {way.change}: peak {format_bytes(way.peak_reserved_bytes)}, {time}"


def _table(title: str, sizes: Mapping[str, int], shown: int) -> Iterator[str]:
    yield title
    for name, size in list(sizes.items())[:shown]:
        yield _line(f"  {name.replace('_', ' ')}" if shown == len(sizes) else f"  {name}", size)
    rest = sum(list(sizes.values())[shown:])
    if rest:
        yield _line("  (others)", rest)


def _line(name: str, size_bytes: int, note: str = "") -> str:
    return f"{name:24}{_signed(size_bytes):>12}  {note}".rstrip()


def _range(low: int, high: int) -> str:
    return f"{_signed(low)} to {_signed(high)}" if low != high else ""


def _signed(size_bytes: int) -> str:
    return f"-{format_bytes(-size_bytes)}" if size_bytes < 0 else format_bytes(size_bytes)
