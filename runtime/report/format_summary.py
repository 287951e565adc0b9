"""A report as a table for people, as JSON, or as CSV."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

from steelyard.hw.base.units import format_bytes, format_flops, format_us
from steelyard.hw.devices.device import Device
from steelyard.runtime.report.module_tree import Node, module_tree
from steelyard.runtime.report.summary import Figures, Grouping, Report
from steelyard.runtime.report.verdict import verdict

Formatter = Callable[[Report, Device, Grouping, int, float], str]

_KEYS = ("level", "name", "ops", "params", "flops", "bytes", "latency_us", "share")


def format_table(report: Report, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """The table, indented as the module tree is, the totals and the verdict."""
    lines = [_cells(by, "params", "FLOPs", "bytes", "time", "share"), "-" * 104]
    for level, name, figures in _rows(report, by, depth):
        shown = f"{figures.params:,}" if figures.params else "-"
        lines.append(
            _cells(
                "  " * level + name,
                shown,
                format_flops(figures.flops),
                format_bytes(_moved(figures)),
                format_us(figures.latency_us),
                f"{_share(report, figures):.1%}",
            )
        )
    known = report.total.ops - sum(report.unknown.values())
    lines += [
        "",
        f"{report.model}: {report.mode}, {report.params:,} parameters, {known} of "
        f"{report.total.ops} ops costed, weighed in {seconds:.1f} s",
        "",
        verdict(report, device),
    ]
    return "\n".join(lines)


def format_json(report: Report, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """One object with the totals and the rows of the table."""
    value_us, low_us, high_us = report.latency_us
    unknown = sum(report.unknown.values())
    return json.dumps(
        {
            "model": report.model,
            "mode": report.mode,
            "device": report.device,
            "params": report.params,
            "flops": report.total.flops,
            "flops_by_phase": report.flops_by_phase,
            "bytes_read": report.total.bytes_read,
            "bytes_written": report.total.bytes_written,
            "latency_us": {"value": value_us, "low": low_us, "high": high_us},
            "latency_by_limiter": report.latency_by_limiter,
            "latency_by_source": report.latency_by_source,
            "peak_memory_bytes": report.memory.peak_bytes,
            "memory_by_role": report.memory_by_role,
            "memory_by_path": report.memory_by_path,
            "memory_by_source": report.memory_by_source,
            "memory_capacity_bytes": int(device.memory_capacity_bytes.value),
            "coverage": {
                "ops": report.total.ops,
                "costed": report.total.ops - unknown,
                "unknown": unknown,
                "unknown_by_op": report.unknown,
            },
            "seconds": round(seconds, 3),
            "rows": [dict(zip(_KEYS, row, strict=True)) for row in _records(report, by, depth)],
        },
        indent=2,
    )


def format_csv(report: Report, device: Device, by: Grouping, depth: int, seconds: float) -> str:
    """The rows of the table, numbers in the units that the header names."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_KEYS)
    writer.writerows(_records(report, by, depth))
    return stream.getvalue().rstrip("\n")


FORMATTERS: dict[str, Formatter] = {"table": format_table, "json": format_json, "csv": format_csv}


def _rows(report: Report, by: Grouping, depth: int) -> list[tuple[int, str, Figures]]:
    if by == "module":
        return _nodes(module_tree(report).folded(), 0, depth)
    groups = report.group_flat(by)
    order = sorted(groups, key=lambda name: -groups[name].latency_us) if by == "op" else list(groups)
    return [(0, "(model)", report.total), *((1, name, groups[name]) for name in order)]


def _nodes(node: Node, level: int, depth: int) -> list[tuple[int, str, Figures]]:
    rows = [(level, node.name, node.figures)]
    for child in node.children.values() if level < depth else ():
        rows += _nodes(child, level + 1, depth)
    return rows


def _records(report: Report, by: Grouping, depth: int) -> list[tuple[Any, ...]]:
    return [
        (
            level,
            name,
            f.ops,
            f.params,
            f.flops,
            _moved(f),
            round(f.latency_us, 4),
            round(_share(report, f), 6),
        )
        for level, name, f in _rows(report, by, depth)
    ]


def _moved(figures: Figures) -> int:
    return figures.bytes_read + figures.bytes_written


def _share(report: Report, figures: Figures) -> float:
    return figures.latency_us / report.total.latency_us if report.total.latency_us else 0.0


def _cells(name: str, *numbers: str) -> str:
    widths = (14, 12, 10, 10, 8)
    return f"{name:<50}" + "".join(f"{n:>{w}}" for n, w in zip(numbers, widths, strict=True))
