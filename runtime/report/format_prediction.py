"""Predictions and scores as tables for people, as JSON, or as CSV."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from math import isfinite, isnan
from typing import Any, Literal

from steelyard.hw.tables.csv_rows import format_csv
from steelyard.runtime.predict.predict import TablePrediction
from steelyard.runtime.predict.score import Score
from steelyard.runtime.report.tables import format_aligned

Style = Literal["table", "json", "csv"]
ADDED = ("predicted_ms", "low_ms", "high_ms", "source", "limiter")
"""The columns that a prediction adds; a table that has them already gets new ones in their place."""


def format_prediction(prediction: TablePrediction, style: Style) -> str:
    """Return the rows with what was predicted of them."""
    header, records = _predicted(prediction)
    if style == "json":
        return json.dumps([_typed(dict(zip(header, record, strict=True))) for record in records], indent=1)
    if style == "csv":
        return format_csv(header, records)
    return format_aligned(header, records)


def format_scores(scores: Sequence[Score], style: Style) -> str:
    """Return the figures of each kind and device."""
    if style == "json":
        known = [
            {key: None if isinstance(value, float) and isnan(value) else value for key, value in row.items()}
            for row in map(asdict, scores)
        ]
        return json.dumps({"scores": known}, indent=1)
    if style == "csv":
        return format_csv(
            [each.name for each in fields(Score)], [list(asdict(row).values()) for row in scores]
        )
    header = ("kind", "device", "rows", "MAPE", "median", "<=10%", "bias", "tau", "in 90%")
    roofline = ("roofline:", "MAPE", "median", "<=10%", "bias", "tau")
    return format_aligned((*header, *roofline), [_cells(row) for row in scores])


def _cells(row: Score) -> list[str]:
    return [
        row.kind,
        row.device,
        f"{row.rows:,}",
        *_figures(row.mape, row.median_ape, row.within_10_percent, row.bias, row.kendall_tau),
        f"{row.coverage:.1%}",
        "",
        *_figures(
            row.roofline_mape,
            row.roofline_median_ape,
            row.roofline_within_10_percent,
            row.roofline_bias,
            row.roofline_kendall_tau,
        ),
    ]


def _figures(mape: float, median: float, within: float, bias: float, tau: float) -> list[str]:
    rank = "-" if isnan(tau) else f"{tau:.3f}"
    return [f"{mape:.1%}", f"{median:.1%}", f"{within:.1%}", f"{bias:+.1%}", rank]


def _predicted(prediction: TablePrediction) -> tuple[list[str], list[list[Any]]]:
    rows, prices = prediction.rows, prediction.prices
    kept = [index for index, column in enumerate(rows.header) if column not in ADDED]
    header = [*(rows.header[index] for index in kept), *ADDED]
    times = ((column * 1e3).tolist() for column in (prices.value_s, prices.low_s, prices.high_s))
    answers = zip(*times, prices.source.tolist(), prices.limiter.tolist(), strict=True)
    records = [
        [*(record[index] for index in kept), f"{value:.6g}", f"{low:.6g}", f"{high:.6g}", source, limiter]
        for record, (value, low, high, source, limiter) in zip(rows.records, answers, strict=True)
    ]
    return header, records


def _typed(record: dict[str, str]) -> dict[str, Any]:
    return {key: _number(value) for key, value in record.items() if value != ""}


def _number(text: str) -> str | int | float:
    for parse in (int, float):
        try:
            number = parse(text)
        except ValueError:
            continue
        return number if isfinite(number) else text  # JSON has no infinity
    return text
