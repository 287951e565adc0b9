"""A transferred trace as a table for people, or as JSON."""

import json
from collections.abc import Sequence
from typing import Literal

from steelyard.hw.base.units import format_us
from steelyard.runtime.profile.transfer import Transfer, TransferredOp

_WIDEST_NAME = 60


def format_transfer(found: Transfer, style: Literal["table", "json"]) -> str:
    """Return a row for each op, the one with the most time on the destination first, and the sums."""
    return _json(found) if style == "json" else _table(found)


def _json(found: Transfer) -> str:
    return json.dumps(
        {
            "model": found.trace.model,
            "from": found.trace.device,
            "to": found.destination,
            "unmeasured": found.trace.unmeasured,
            "total": {
                "measured_ms": found.measured_s * 1e3,
                "scaled_ms": found.scaled_s * 1e3,
                "predicted_ms": None if found.predicted_s is None else found.predicted_s * 1e3,
            },
            "ops": [
                {
                    "signature": row.traced.name,
                    "count": row.traced.count,
                    "measured_ms": row.traced.op.measured_s * 1e3,
                    "scaled_ms": row.scaled.seconds * 1e3,
                    "predicted_ms": None if row.predicted_s is None else row.predicted_s * 1e3,
                    "memory_exponent": row.scaled.memory_exponent,
                    "method": row.scaled.method,
                }
                for row in found.rows
            ],
        },
        indent=1,
    )


def _table(found: Transfer) -> str:
    lines = [_line("count", ("measured", "scaled", "predicted"), "gamma", "op")]
    for row in sorted(found.rows, key=lambda row: -row.traced.count * row.scaled.seconds):
        lines.append(_row(row))
    count = sum(row.traced.count for row in found.rows)
    totals = [_time(each) for each in (found.measured_s, found.scaled_s, found.predicted_s)]
    lines.append(_line(str(count), totals, "", "all"))
    lines.append(
        f"{found.trace.model}: measured on {found.trace.device}, scaled to {found.destination}, "
        "and predicted there by the models"
    )
    if found.trace.unmeasured:
        lines.append(f"{found.trace.unmeasured} distinct ops of the trace were not measured")
    return "\n".join(lines)


def _row(row: TransferredOp) -> str:
    name = row.traced.name
    short = name if len(name) <= _WIDEST_NAME else f"{name[: _WIDEST_NAME - 3]}..."
    times = [_time(each) for each in (row.traced.op.measured_s, row.scaled.seconds, row.predicted_s)]
    exponent = row.scaled.memory_exponent
    gamma = row.scaled.method if exponent is None else f"{exponent:.2f}"
    return _line(str(row.traced.count), times, gamma, short)


def _line(count: str, times: Sequence[str], gamma: str, name: str) -> str:
    return f"{count:>6} {' '.join(f'{each:>10}' for each in times)} {gamma:>6}  {name}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_us(seconds * 1e6)
