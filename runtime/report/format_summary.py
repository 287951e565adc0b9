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
_SHAPE = 22
_LEAST_NAME = 16
_KEYS = ("level", "name", "ops", "params", "flops", "bytes", "latency_us", "share", "unknown")


def format_table(
    summary: Summary, device: Device, by: Grouping, depth: int, seconds: float, shapes: bool = False
) -> str:
    """The table, indented as the module tree is, the totals and the verdict."""
    columns = get_terminal_size((sum(_WIDTHS) + _SHAPE * shapes, 24)).columns
    header, *rows = _fitted(_cells(summary, by, depth, shapes, "  "), columns)
    told = _told(summary, seconds)
    return "\n".join(
        [header, "-" * len(header), *rows, "", *told, "", verdict(summary, device, min(columns, 100))]
    )


def format_markdown(
    summary: Summary, device: Device, by: Grouping, depth: int, seconds: float, shapes: bool = False
) -> str:
    """The same as a table of Markdown and paragraphs."""
    header, *rows = _cells(summary, by, depth, shapes, "&nbsp;&nbsp;")
    lines = [header, ("---", *["--:"] * (len(header) - 1)), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return "\n\n".join([table, "  \n".join(_told(summary, seconds)), verdict(summary, device)])


def _told(summary: Summary, seconds: float) -> list[str]:
    """Model, parameters and coverage, and what the figures hold for."""
    known = summary.total.ops - summary.total.unknown
    share = "" if summary.trained is None else f", {_percent(summary.trained, summary.params)} of them train"
    return [
        f"{summary.model}: {summary.mode}, {summary.params:,} parameters{share}, {known} of "
        f"{summary.total.ops} ops costed, weighed in {seconds:.1f} s",
        f"holds for: {'; '.join(summary.conditions)}",
        *(f"assumed: {each}" for each in summary.assumptions),
    ]


def _cells(summary: Summary, by: Grouping, depth: int, shapes: bool, indent: str) -> list[tuple[str, ...]]:
    """The table's header and rows."""
    records: list[tuple[str, ...]] = [(by, *["output"] * shapes, "params", "FLOPs", "bytes", "time", "share")]
    for level, name, figures, output in _rows(summary, by, depth):
        records.append(
            (
                indent * level + name,
                *[output or "-"] * shapes,
                f"{figures.params:,}" if figures.params else "-",
                bounded(format_flops, figures.flops, figures.unknown),
                bounded(format_bytes, _moved(figures), figures.unknown),
                bounded(format_us, figures.latency_us, figures.unknown),
                f"{summary.share(figures):.1%}",
            )
        )
    return records


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"


def as_record(
    summary: Summary, device: Device, by: Grouping, depth: int, seconds: float, shapes: bool = False
) -> dict[str, Any]:
    """One object with the totals and the rows of the table."""
    total, unknown = summary.total, summary.total.unknown
    value_us, low_us, high_us = (_or_none(each, unknown) for each in summary.latency_us)
    return {
        "model": summary.model,
        "mode": summary.mode,
        "device": device.name,
        "params": summary.params,
        "params_that_train": summary.trained,
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
        "conditions": list(summary.conditions),
        "assumptions": list(summary.assumptions),
        "seconds": round(seconds, 3),
        "rows": [dict(zip(_keys(shapes), row, strict=True)) for row in _records(summary, by, depth, shapes)],
    }


def format_csv(
    summary: Summary, device: Device, by: Grouping, depth: int, seconds: float, shapes: bool = False
) -> str:
    """The rows of the table, numbers in the units that the header names."""
    return format_rows(_keys(shapes), _records(summary, by, depth, shapes))


def _keys(shapes: bool) -> tuple[str, ...]:
    return (*_KEYS, *["output"] * shapes)


def _rows(summary: Summary, by: Grouping, depth: int) -> list[tuple[int, str, Figures, str]]:
    if by == "module":
        return _nodes(module_tree(summary).folded(), 0, depth)
    groups = summary.group_flat(by)
    order = sorted(groups, key=lambda name: -groups[name].latency_us) if by == "op" else list(groups)
    return [(0, "(model)", summary.total, ""), *((1, name, groups[name], "") for name in order)]


def _nodes(node: Node, level: int, depth: int) -> list[tuple[int, str, Figures, str]]:
    rows = [(level, node.name, node.figures, node.output)]
    for child in node.children.values() if level < depth else ():
        rows += _nodes(child, level + 1, depth)
    return rows


def _records(summary: Summary, by: Grouping, depth: int, shapes: bool) -> list[tuple[Any, ...]]:
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
            *[output or None] * shapes,
        )
        for level, name, f, output in _rows(summary, by, depth)
    ]


def _or_none(value: float, unknown: int) -> float | None:
    """A figure, or None where nothing of it is known."""
    return value if value or not unknown else None


def _moved(figures: Figures) -> int:
    return figures.bytes_read + figures.bytes_written


def _fitted(records: list[tuple[str, ...]], columns: int) -> list[str]:
    """Rows of aligned cells; in a narrow terminal without spare room, and with names cut short."""
    name, *numbers = _WIDTHS
    if len(records[0]) > len(_WIDTHS):
        numbers = [_SHAPE, *numbers]
    if columns < name + sum(numbers):
        numbers = [2 + max(map(len, cells)) for cells in list(zip(*records, strict=True))[1:]]
        name = max(columns - sum(numbers), _LEAST_NAME)
        records = [(_cut(first, name), *rest) for first, *rest in records]
    return [
        f"{first:<{name}}" + "".join(f"{n:>{w}}" for n, w in zip(rest, numbers, strict=True))
        for first, *rest in records
    ]


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
