"""Prediction of a CSV table of kernels, scored against measured times if it has them."""

import sys
from dataclasses import dataclass
from pathlib import Path

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.base.latency import Latencies
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.tables.csv_rows import Rows, parse_rows
from steelyard.hw.tables.parse_dims import parse_latencies
from steelyard.hw.tables.parse_requests import parse_requests
from steelyard.hw.tables.predict_table import peak_roofline_table, price_table
from steelyard.runtime.predict.score import Score, score


@dataclass(frozen=True, slots=True)
class TablePrediction:
    """A table, the estimate of each row, and the scores if requested."""

    rows: Rows
    prices: Latencies
    scores: list[Score] | None


def predict(path: str, device: str | None, latency_column: str | None = None) -> TablePrediction:
    """Predict the kernels of a CSV file.

    Args:
        path: The file, or "-" for stdin; its columns are those of `requests.parse_requests`.
        device: The device of rows that name none.
        latency_column: The column of measured milliseconds to score against.

    Raises:
        SteelyardError: The file cannot be read, or a row is invalid; the error names row and column.
    """
    rows = read_rows(path)
    measured_s = measured_column(rows, latency_column) if latency_column else None
    requests = parse_requests(rows, device)
    prices = price_table(rows, requests)
    if measured_s is None:
        return TablePrediction(rows, prices, None)
    roofline_s = peak_roofline_table(rows, requests)
    return TablePrediction(rows, prices, score(requests, prices, roofline_s, measured_s))


def read_rows(path: str) -> Rows:
    """Return the rows of a CSV file, or of stdin if the path is "-".

    Raises:
        UsageError: The file cannot be read, or is not a UTF-8 table.
    """
    name = "stdin" if path == "-" else path
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(what="the file cannot be read", where=name, why=str(error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            what="the file is not UTF-8", where=name, why=str(error), fix="save it as CSV in UTF-8"
        ) from error
    return parse_rows(text, name)


def measured_column(rows: Rows, column: str) -> Floats:
    """Return a column of measured milliseconds in seconds.

    Raises:
        UsageError: There is no such column, or a cell is not a positive number.
    """
    if column not in rows.header:
        raise UsageError(
            what=f"there is no column {column!r} of measured times",
            where=f"{rows.name}, line 1",
            fix=did_you_mean(column, rows.header),
        )
    return parse_latencies(rows.column(column), column, rows.where)
