"""Formats of a summary: a table for people, a record for JSON, CSV."""

from shutil import get_terminal_size
from typing import Any

from steelyard.hw.base.units import bounded, format_bytes, format_flops, format_us
from steelyard.hw.devices.device import Device
from steelyard.hw.tables.csv_rows import format_csv as format_rows
from steelyard.runtime.report.module_tree import Node, module_tree
from steelyard.runtime.report.summary import Figures, Grouping, Summary
from steelyard.runtime.report.verdict import verdict

_WIDTHS = (41, 14, 15, 13, 13, 8)
_LEAST_NAME = 16
_KEYS = ("level", "name", "ops", "params", "flops", "bytes", "latency_us", "share", "unknown")


def format_table(summary: Summary, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """The table, indented as the module tree is, the totals and the verdict."""
    records: list[tuple[str, ...]] = [(by, "params", "FLOPs", "bytes", "time", "share")]
    for level, name, figures in _rows(summary, by, depth):
        shown = f"{figures.params:,}" if figures.params else "-"
        records.append(
            (
                "  " * level + name,
                shown,
                bounded(format_flops, figures.flops, figures.unknown),
                bounded(format_bytes, _moved(figures), figures.unknown),
                bounded(format_us, figures.latency_us, figures.unknown),
                f"{summary.share(figures):.1%}",
            )
        )
    known = summary.total.ops - summary.total.unknown
    columns = get_terminal_size((sum(_WIDTHS), 24)).columns
    header, *rows = _fitted(records, columns)
    lines = [header, "-" * len(header), *rows]
    lines += [
        "",
        f"{summary.model}: {summary.mode}, {summary.params:,} parameters, {known} of "
        f"{summary.total.ops} ops costed, weighed in {seconds:.1f} s",
        *(f"assumed: {each}" for each in summary.assumptions),
        "",
        verdict(summary, device, min(columns, 100)),
    ]
    return "\n".join(lines)


def as_record(summary: Summary, device: Device, by: Grouping, depth: int, seconds: float) -> dict[str, Any]:
    """One object with the totals and the rows of the table."""
    total, unknown = summary.total, summary.total.unknown
    value_us, low_us, high_us = (_or_none(each, unknown) for each in summary.latency_us)
    return {
        "model": summary.model,
        "mode": summary.mode,
        "device": device.name,
        "params": summary.params,
        "is_lower_bound": unknown > 0,
        "flops": _or_none(total.flops, unknown),
        "flops_by_phase": summary.flops_by_phase,
        "bytes_read": _or_none(total.bytes_read, unknown),
        "bytes_written": _or_none(total.bytes_written, unknown),
        "latency_us": {"value": value_us, "low": low_us, "high": high_us},
        "latency_by_limiter": summary.latency_by_limiter,
        "latency_by_source": summary.latency_by_source,
        "peak_memory_bytes": summary.memory.bytes,
        "peak_memory_low_bytes": summary.memory.low_bytes,
        "memory_by_role": summary.memory.by_role,
        "memory_by_path": summary.memory.by_path,
        "memory_by_source": summary.memory.by_source,
        "memory_capacity_bytes": int(device.memory_capacity_bytes.value),
        "coverage": {
            "ops": total.ops,
            "costed": total.ops - unknown,
            "unknown": unknown,
            "unknown_by_op": summary.unknown,
        },
        "assumptions": list(summary.assumptions),
        "seconds": round(seconds, 3),
        "rows": [dict(zip(_KEYS, row, strict=True)) for row in _records(summary, by, depth)],
    }


def format_csv(summary: Summary, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """The rows of the table, numbers in the units that the header names."""
    return format_rows(_KEYS, _records(summary, by, depth))


def _rows(summary: Summary, by: Grouping, depth: int) -> list[tuple[int, str, Figures]]:
    if by == "module":
        return _nodes(module_tree(summary).folded(), 0, depth)
    groups = summary.group_flat(by)
    order = sorted(groups, key=lambda name: -groups[name].latency_us) if by == "op" else list(groups)
    return [(0, "(model)", summary.total), *((1, name, groups[name]) for name in order)]


def _nodes(node: Node, level: int, depth: int) -> list[tuple[int, str, Figures]]:
    rows = [(level, node.name, node.figures)]
    for child in node.children.values() if level < depth else ():
        rows += _nodes(child, level + 1, depth)
    return rows


def _records(summary: Summary, by: Grouping, depth: int) -> list[tuple[Any, ...]]:
    return [
        (
            level,
            name,
            f.ops,
            f.params,
            _or_none(f.flops, f.unknown),
            _or_none(_moved(f), f.unknown),
            _or_none(round(f.latency_us, 4), f.unknown),
            round(summary.share(f), 6),
            f.unknown,
        )
        for level, name, f in _rows(summary, by, depth)
    ]


def _or_none(value: float, unknown: int) -> float | None:
    """A figure, or None where nothing of it is known."""
    return value if value or not unknown else None


def _moved(figures: Figures) -> int:
    return figures.bytes_read + figures.bytes_written


def _fitted(records: list[tuple[str, ...]], columns: int) -> list[str]:
    """Rows of aligned cells; in a narrow terminal without spare room, and with names cut short."""
    name, *numbers = _WIDTHS
    if columns < sum(_WIDTHS):
        numbers = [2 + max(map(len, cells)) for cells in list(zip(*records, strict=True))[1:]]
        name = max(columns - sum(numbers), _LEAST_NAME)
        records = [(_cut(first, name), *rest) for first, *rest in records]
    return [
        f"{first:<{name}}" + "".join(f"{n:>{w}}" for n, w in zip(rest, numbers, strict=True))
        for first, *rest in records
    ]


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
