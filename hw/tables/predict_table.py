"""Prices of a whole table: its rows in groups, each on its own ladder."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import numpy as np

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.dtype_support import require_type
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.roofline_rung import peak_roofline_s
from steelyard.hw.tables.csv_rows import Rows
from steelyard.hw.tables.parse_requests import Request

Answer = TypeVar("Answer")


def price_table(rows: Rows, requests: Sequence[Request]) -> Latencies:
    """Return the price of each row of a table.

    Args:
        rows: The table.
        requests: What it asks, by `requests.parse_requests`.

    Raises:
        SteelyardError: A device is unknown or cannot do what is asked of it; names the row.
    """
    parts = _each(
        rows, requests, lambda device, request: Ladder(device, _context(request)).price(request.queries)
    )
    order = np.argsort(np.concatenate([request.rows for request in requests]))
    return LatencyEstimate.joined(parts, order)


def peak_roofline_table(rows: Rows, requests: Sequence[Request]) -> Floats:
    """Return the time of each row at its device's peaks, in seconds; see `peak_roofline_s`.

    Raises:
        SteelyardError: A device is unknown or gives no such peak; names the row.
    """
    parts = _each(rows, requests, lambda device, request: peak_roofline_s(device, request.queries))
    order = np.argsort(np.concatenate([request.rows for request in requests]))
    return np.concatenate(parts)[order]


def _each(
    rows: Rows, requests: Sequence[Request], answer: Callable[[Device, Request], Answer]
) -> list[Answer]:
    load = cache(load_device)
    answers: list[Answer] = []
    for request in requests:
        first, queries = int(request.rows[0]), request.queries
        with rows.naming(first, "device"):
            device = load(request.device)
        with rows.naming(first, "dtype"):
            require_type(device, queries.kind, queries.dtype)
        with rows.naming(first):
            answers.append(answer(device, request))
    return answers


def _context(request: Request) -> ExecutionContext:
    return ExecutionContext(mode=request.mode)
