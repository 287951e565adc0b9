"""Formats of a summary: a table for people, JSON, CSV."""

import json
from collections.abc import Callable
from typing import Any

from steelyard.hw.base.units import format_bytes, format_flops, format_us
from steelyard.hw.devices.device import Device
from steelyard.hw.tables.csv_rows import format_csv as format_rows
from steelyard.runtime.report.module_tree import Node, module_tree
from steelyard.runtime.report.summary import Figures, Grouping, Summary
from steelyard.runtime.report.verdict import verdict

Formatter = Callable[[Summary, Device, Grouping, int, float], str]

_KEYS = ("level", "name", "ops", "params", "flops", "bytes", "latency_us", "share")


def format_table(summary: Summary, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """The table, indented as the module tree is, the totals and the verdict."""
    lines = [_cells(by, "params", "FLOPs", "bytes", "time", "share"), "-" * 104]
    for level, name, figures in _rows(summary, by, depth):
        shown = f"{figures.params:,}" if figures.params else "-"
        lines.append(
            _cells(
                "  " * level + name,
                shown,
                format_flops(figures.flops),
                format_bytes(_moved(figures)),
                format_us(figures.latency_us),
                f"{summary.share(figures):.1%}",
            )
        )
    known = summary.total.ops - sum(summary.unknown.values())
    lines += [
        "",
        f"{summary.model}: {summary.mode}, {summary.params:,} parameters, {known} of "
        f"{summary.total.ops} ops costed, weighed in {seconds:.1f} s",
        *(f"assumed: {each}" for each in summary.assumptions),
        "",
        verdict(summary, device),
    ]
    return "\n".join(lines)


def format_json(summary: Summary, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """One object with the totals and the rows of the table."""
    value_us, low_us, high_us = summary.latency_us
    unknown = sum(summary.unknown.values())
    return json.dumps(
        {
            "model": summary.model,
            "mode": summary.mode,
            "device": device.name,
            "params": summary.params,
            "flops": summary.total.flops,
            "flops_by_phase": summary.flops_by_phase,
            "bytes_read": summary.total.bytes_read,
            "bytes_written": summary.total.bytes_written,
            "latency_us": {"value": value_us, "low": low_us, "high": high_us},
            "latency_by_limiter": summary.latency_by_limiter,
            "latency_by_source": summary.latency_by_source,
            "peak_memory_bytes": summary.memory.bytes,
            "memory_by_role": summary.memory.by_role,
            "memory_by_path": summary.memory.by_path,
            "memory_by_source": summary.memory.by_source,
            "memory_capacity_bytes": int(device.memory_capacity_bytes.value),
            "coverage": {
                "ops": summary.total.ops,
                "costed": summary.total.ops - unknown,
                "unknown": unknown,
                "unknown_by_op": summary.unknown,
            },
            "assumptions": summary.assumptions,
            "seconds": round(seconds, 3),
            "rows": [dict(zip(_KEYS, row, strict=True)) for row in _records(summary, by, depth)],
        },
        indent=2,
    )


def format_csv(summary: Summary, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """The rows of the table, numbers in the units that the header names."""
    return format_rows(_KEYS, _records(summary, by, depth))


FORMATTERS: dict[str, Formatter] = {"table": format_table, "json": format_json, "csv": format_csv}


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
            f.flops,
            _moved(f),
            round(f.latency_us, 4),
            round(summary.share(f), 6),
        )
        for level, name, f in _rows(summary, by, depth)
    ]


def _moved(figures: Figures) -> int:
    return figures.bytes_read + figures.bytes_written


def _cells(name: str, *numbers: str) -> str:
    widths = (14, 12, 10, 10, 8)
    return f"{name:<50}" + "".join(f"{n:>{w}}" for n, w in zip(numbers, widths, strict=True))
