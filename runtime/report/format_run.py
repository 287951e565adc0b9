"""Format of a sharded program's run as a table or JSON."""

import json
from collections.abc import Mapping
from typing import Any, Literal


def format_run(report: Mapping[str, Any], style: Literal["table", "json"]) -> str:
    """Return loss and step time, measured, predicted and, where compared, of one process."""
    if style == "json":
        return json.dumps(report, indent=2)
    time, one = report["step_time_ms"], report.get("check")
    columns = [
        ("", "loss", "step ms"),
        (f"{report['ranks']} ranks", report["loss"], time["measured"]),
        ("predicted", None, time["predicted"]),
    ]
    if one:
        columns.append(("1 process", one["loss"], one["step_time_ms"]))
    lines = [f"{name:8}{''.join(map(_cell, cells))}" for name, *cells in zip(*columns, strict=True)]
    lines.append(
        f"predicted for {report['device']}: {time['low']:.4g} to {time['high']:.4g} ms, "
        f"{time['ratio']:.3f} of the measured time"
    )
    if one:
        wrong = [*one["different"], *(f"{name} (missing)" for name in one["missing"])]
        verdict = f"{len(wrong)} differ, such as {', '.join(wrong[:3])}" if wrong else "equal"
        lines.append(
            f"{one['compared']} results compared: {verdict}; largest relative difference "
            f"{one['max_relative_diff']:.2e}, tolerance {one['tolerance']:.0e}"
        )
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:>14.6g}" if isinstance(value, float) else f"{value or '-':>14}"
