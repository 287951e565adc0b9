"""Format of fusion verdicts as a table, JSON or CSV; `rules_file` writes rules."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from steelyard.hw.tables.csv_rows import format_csv
from steelyard.runtime.detect_fusion.pair_timing import PARTS, Verdict
from steelyard.runtime.detect_fusion.rules_file import record
from steelyard.runtime.report.tables import format_aligned

HEADER = ("first", "second", "fused", "saved", "agree", "T1 us", "T2 us", "T12 us", "spreads")


def format_verdicts(
    verdicts: Sequence[Verdict], measured: Mapping[str, str | int], style: Literal["table", "json", "csv"]
) -> str:
    """Return the pairs with their times; `saved` is relative to the shorter op's time."""
    if style == "json":
        return json.dumps({"measured": measured, "pairs": [record(each) for each in verdicts]}, indent=1)
    if style == "csv":
        rows = [{"fused": "", **record(each)} for each in verdicts]
        return format_csv(list(rows[0]), [list(row.values()) for row in rows])
    return format_aligned(HEADER, [_cells(each) for each in verdicts])


def _cells(verdict: Verdict) -> list[str]:
    word = {True: "yes", False: "no", None: "?"}[verdict.fused]
    return [
        verdict.pair.first,
        verdict.pair.second,
        word,
        f"{verdict.saved_share:.0%}",
        f"{verdict.agreement:.0%}",
        *(f"{verdict.times_s[part] * 1e6:.1f}" for part in PARTS),
        " ".join(f"{verdict.spreads[part]:.2f}" for part in PARTS),
    ]
