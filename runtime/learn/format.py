"""Format of learned regressors' accuracy as a table, JSON or CSV."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

from steelyard.hw.devices.learned_models import Accuracy, Learned
from steelyard.hw.tables.csv_rows import format_csv
from steelyard.runtime.report.tables import format_aligned

HEADER = ("kind", "kernels", "held out", "<=5%", "<=10%", "RMSPE", "again:", "<=5%", "<=10%", "RMSPE")


def format_learned(found: Mapping[str, Learned], style: Literal["table", "json", "csv"]) -> str:
    """Return the held-out accuracy of each regressor, and the agreement of repeated measurements."""
    if style == "json":
        return json.dumps({"learned": [_record(name, each) for name, each in found.items()]}, indent=1)
    if style == "csv":
        records = [_flat(_record(name, each)) for name, each in found.items()]
        return format_csv(list(records[0]), [list(record.values()) for record in records])
    return format_aligned(HEADER, [_cells(name, each) for name, each in found.items()])


def _record(name: str, found: Learned) -> dict[str, object]:
    return {
        "kind": name,
        "kernels": found.rows,
        "threads": found.threads,
        "held_out": asdict(found.held_out),
        "repeats": asdict(found.repeats),
    }


def _flat(record: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in record.items():
        inner = {f"{key}_{name}": each for name, each in value.items()} if isinstance(value, dict) else {}
        flat |= inner or {key: value}
    return flat


def _cells(name: str, found: Learned) -> list[str]:
    return [
        name,
        f"{found.rows}",
        f"{found.held_out.kernels}",
        *_figures(found.held_out),
        "",
        *_figures(found.repeats),
    ]


def _figures(found: Accuracy) -> list[str]:
    return [f"{found.within_5_percent:.0%}", f"{found.within_10_percent:.0%}", f"{found.rmspe:.1%}"]
