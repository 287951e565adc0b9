"""The fitted rung of a device that kernels were learned on: one regressor for each kind."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.learned_models import (
    KERNELS,
    VECTORIZED,
    Learned,
    LearnedKind,
    Regressor,
    size_names,
)
from steelyard.hw.kernels.common.features import features
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelBatch, KernelKind
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.regression_trees import sum_of_trees

VECTOR_LANES = 16
"""f32 numbers in a vector of 512 bits, and the channels in a block of oneDNN's layouts."""

REACH = 2.0
"""How far outside of the sizes that were seen a dim may be: half of the smallest, twice the largest."""

Rows = NDArray[np.bool_]


def learned_prices(
    device: Device, context: ExecutionContext, queries: KernelBatch
) -> tuple[Rows, Latencies] | None:
    """Return which kernels a learned regressor knows, and the prices of those; None where it knows none.

    Args:
        device: The device.
        context: How the kernels are run: eager, and with as many threads as was measured.
        queries: The kernels.
    """
    known = np.zeros(len(queries), bool)
    parts: list[tuple[Rows, Latencies]] = []
    for name, types in device.learned.items():
        found = types.get(queries.dtype)
        if KERNELS[name] != queries.kind or found is None or not _is_run_so(context, found):
            continue
        rows = are_of(name, queries.dims) & _in_reach(found, queries)
        if rows.any():
            dims = {dim: column[rows] for dim, column in queries.dims.items()}
            parts.append((rows, _prices(device, queries.kind, queries.dtype, dims, found)))
            known |= rows
    if not parts:
        return None
    order = np.argsort(np.concatenate([np.flatnonzero(rows) for rows, _ in parts]))
    return known, LatencyEstimate.joined([prices for _, prices in parts], order)


def learned_s(regressor: Regressor, kind: KernelKind, dtype: DType, dims: Mapping[str, Column]) -> Floats:
    """Return what a regressor says of kernels of a kind, in seconds."""
    law_s = law_amounts(kind, dtype, dims) @ np.array(regressor.law_s)
    correction = sum_of_trees(regressor.trees, learned_features(kind, dtype, dims))
    return law_s * np.exp(regressor.offset + correction)


def law_amounts(kind: KernelKind, dtype: DType, dims: Mapping[str, Column]) -> Floats:
    """Return the amounts of `hw.learned.LAW`, [rows, amounts]."""
    flops, read, written = _work(kind, dtype, dims)
    padded = flops * np.exp2(_padding(kind, dims).sum(axis=1))
    return np.stack([np.ones_like(flops), flops, padded, read, written], axis=1)


def learned_features(kind: KernelKind, dtype: DType, dims: Mapping[str, Column]) -> Floats:
    """Return the features of `hw.learned.feature_names`, [rows, features]."""
    flops, read, written = _work(kind, dtype, dims)
    work = np.log2(np.stack([flops, read, written, flops / (read + written)], axis=1))
    return np.hstack([features(kind, dims), work, _padding(kind, dims)])


def are_of(name: LearnedKind, dims: Mapping[str, Column]) -> Rows:
    """Return which kernels of a kind a regressor is for."""
    match name:
        case "conv2d":
            return (dims["groups"] == 1) & (dims["direction"] == "fwd")
        case "depthwise_conv2d":
            alone = (dims["groups"] == dims["c"]) & (dims["c"] == dims["o"])
            return alone & (dims["groups"] > 1) & (dims["direction"] == "fwd")
        case _:
            return np.ones(len(next(iter(dims.values()))), bool)


def _work(kind: KernelKind, dtype: DType, dims: Mapping[str, Column]) -> tuple[Floats, Floats, Floats]:
    counts = MODELS[kind].counts(dtype, dims)
    return counts.flops, counts.bytes_read, counts.bytes_written


def _padding(kind: KernelKind, dims: Mapping[str, Column]) -> Floats:
    """Return log2 of how much longer each vectorized dim is in whole vectors, [rows, dims]."""
    sizes = np.stack([dims[dim].astype(np.float64) for dim in VECTORIZED[kind]], axis=1)
    return np.log2(np.ceil(sizes / VECTOR_LANES) * VECTOR_LANES / sizes)


def _is_run_so(context: ExecutionContext, found: Learned) -> bool:
    return context.mode == "eager" and context.threads in (None, found.threads)


def _in_reach(found: Learned, queries: KernelBatch) -> Rows:
    sizes = np.stack([queries.dims[dim] for dim in size_names(queries.kind)], axis=1)
    small, large = np.array(found.smallest) / REACH, np.array(found.largest) * REACH
    return np.all((sizes >= small) & (sizes <= large), axis=1)


def _prices(
    device: Device, kind: KernelKind, dtype: DType, dims: Mapping[str, Column], found: Learned
) -> Latencies:
    floor_s = _floor_s(device, kind, dtype, dims)
    value_s = np.maximum(learned_s(found.regressor, kind, dtype, dims), floor_s)
    low_s, high_s = found.spread.interval(value_s, floor_s)
    calls, flops, padded, read, written = (law_amounts(kind, dtype, dims) * found.regressor.law_s).T
    terms = np.stack([calls, flops + padded, read + written])
    limiter = np.array(["launch", "compute", "memory"])[terms.argmax(axis=0)]
    return LatencyEstimate(value_s, low_s, high_s, limiter, np.full(len(value_s), "fitted"))


def _floor_s(device: Device, kind: KernelKind, dtype: DType, dims: Mapping[str, Column]) -> Floats:
    """Return what the arithmetic takes at the peak, where the device's file knows one."""
    peaks = {**device.vector_peak_flops_per_s, **device.matrix_peak_flops_per_s}
    rows = len(next(iter(dims.values())))
    if dtype not in peaks:
        return np.zeros(rows)
    return np.broadcast_to(MODELS[kind].counts(dtype, dims).contraction_flops / peaks[dtype].value, rows)
