"""Scores of predictions by kind and device, beside those of a plain roofline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from steelyard.hw.base.latency import Latencies
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.tables.parse_requests import Request

EVERY_DEVICE = "(all)"


@dataclass(frozen=True, slots=True)
class Score:
    """Error figures of some rows, relative to the measured times.

    Attributes:
        kind: The kind of the kernels.
        device: The device they ran on, or `EVERY_DEVICE`.
        rows: Number of rows.
        mape: Mean absolute error.
        median_ape: Median absolute error.
        within_10_percent: The part of the rows with an error of at most 10%.
        bias: Mean signed error; positive if predictions are too long.
        kendall_tau: Rank correlation (Kendall's tau-b).
        coverage: The part of the rows inside their 90% interval.
        roofline_mape: Mean absolute error of the roofline at data-sheet peaks.
        roofline_median_ape: Its median absolute error.
        roofline_within_10_percent: The part of its rows with an error of at most 10%.
        roofline_bias: Its mean signed error.
        roofline_kendall_tau: Its rank correlation.
    """

    kind: str
    device: str
    rows: int
    mape: float
    median_ape: float
    within_10_percent: float
    bias: float
    kendall_tau: float
    coverage: float
    roofline_mape: float
    roofline_median_ape: float
    roofline_within_10_percent: float
    roofline_bias: float
    roofline_kendall_tau: float


def score(
    requests: Sequence[Request], prices: Latencies, roofline_s: Floats, measured_s: Floats
) -> list[Score]:
    """Return the scores of each kind on each device, and over all devices if there are several.

    Args:
        requests: The parsed rows.
        prices: The predictions.
        roofline_s: The roofline's times.
        measured_s: The measured times.
    """
    return [
        _score(kind, device, np.concatenate(members), prices, roofline_s, measured_s)
        for kind, device, members in _groups(requests)
    ]


def _groups(requests: Sequence[Request]) -> Iterator[tuple[str, str, list[Column]]]:
    members: dict[str, dict[str, list[Column]]] = {}
    for request in requests:
        devices = members.setdefault(request.queries.kind, {})
        devices.setdefault(request.device, []).append(request.rows)
    for kind in sorted(members):
        devices = members[kind]
        for device in sorted(devices):
            yield kind, device, devices[device]
        if len(devices) > 1:
            yield kind, EVERY_DEVICE, [rows for parts in devices.values() for rows in parts]


def _score(
    kind: str, device: str, rows: Column, prices: Latencies, roofline_s: Floats, measured_s: Floats
) -> Score:
    measured = measured_s[rows]
    inside = (prices.low_s[rows] <= measured) & (measured <= prices.high_s[rows])
    return Score(
        kind,
        device,
        len(rows),
        *_figures(prices.value_s[rows], measured),
        float(inside.mean()),
        *_figures(roofline_s[rows], measured),
    )


def _figures(predicted_s: Floats, measured_s: Floats) -> tuple[float, float, float, float, float]:
    from scipy.stats import kendalltau

    error = predicted_s / measured_s - 1
    off = np.abs(error)
    ranked: Any = kendalltau(predicted_s, measured_s) if len(error) > 1 else None
    tau = float(ranked.statistic) if ranked else nan
    return float(off.mean()), float(np.median(off)), float((off <= 0.10).mean()), float(error.mean()), tau
