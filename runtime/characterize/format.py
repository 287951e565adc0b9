"""Format of a behaviour as a table, JSON or CSV."""

import json
from dataclasses import asdict
from typing import Literal

from steelyard.hw.base.units import format_us
from steelyard.hw.tables.csv_rows import format_csv
from steelyard.runtime.characterize.sweep import Behaviour
from steelyard.runtime.report.tables import format_aligned

_BAR = 50


def format_behaviour(behaviour: Behaviour, where: str, style: Literal["table", "json", "csv"]) -> str:
    """Return the time of each size, and in tables and JSON the steps.

    Args:
        behaviour: The behaviour.
        where: The measured or predicted device.
        style: Table, JSON or CSV.
    """
    sweep, name = behaviour.sweep, behaviour.sweep.dims[0]
    points = [(size, time_s * 1e6) for size, time_s in zip(sweep.sizes, behaviour.times_s, strict=True)]
    if style == "csv":
        return format_csv([name, "time_us"], [(size, f"{time_us:.6g}") for size, time_us in points])
    if style == "json":
        found = {
            "kind": sweep.family.name,
            "where": where,
            "swept": list(sweep.dims),
            "others": dict(sweep.others),
            "staircase": asdict(behaviour.staircase) if behaviour.staircase else None,
            "points": [{name: size, "time_us": float(f"{time_us:.6g}")} for size, time_us in points],
        }
        return json.dumps(found, indent=1)
    longest_us = max(time_us for _, time_us in points)
    rows = [
        [str(size), format_us(time_us), "#" * max(1, round(_BAR * time_us / longest_us))]
        for size, time_us in points
    ]
    fixed = " ".join(f"{key}={size}" for key, size in sweep.others.items() if key != "pad")
    header = (name, "time", "")
    return f"{format_aligned(header, rows)}\n{sweep.family.name} {fixed} on {where}: {behaviour}"
