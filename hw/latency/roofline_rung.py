"""Rooflines over many kernels: as a rung of the ladder, and from peaks alone, for comparison."""

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork, WorkKind
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import Unit, contraction_unit, pointwise_unit, transcendental_unit
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.kernels.common.kernel_queries import Floats, KernelBatch, KernelKind
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.roofline import Roofline

_WORK: dict[KernelKind, WorkKind] = {
    "gemm": "contraction",
    "bmm": "contraction",
    "conv2d": "convolution",
    "elementwise": "pointwise",
    "softmax": "softmax",
    "layer_norm": "normalization",
    "attention_prefill": "attention",
    "attention_decode": "attention",
}


def roofline_prices(device: Device, context: ExecutionContext, queries: KernelBatch) -> Latencies:
    """Return the prices of kernels by the roofline with the device's sustained peaks.

    Raises:
        DeviceError: The device lacks what the work needs.
    """
    counts = MODELS[queries.kind].counts(queries.dtype, queries.dims)
    roofline = Roofline(device, context)
    kind, dtype = _WORK[queries.kind], queries.dtype
    works = [KernelWork(kind=kind, dtype=dtype, **cost.counts()) for cost in counts.split(len(queries))]
    found = [roofline.latency(work) for work in works]
    times = np.array([(each.value_s, each.low_s, each.high_s) for each in found])
    limiter, source = np.array([(each.limiter, each.source) for each in found]).T
    return LatencyEstimate(times[:, 0], times[:, 1], times[:, 2], limiter, source)


def peak_roofline_s(device: Device, queries: KernelBatch) -> Floats:
    """Return the longer of arithmetic and memory traffic, both at the peaks of the data sheet, in seconds.

    This is the roofline that predictors are compared with (NeuSight, ASPLOS 2025, section 3).

    Raises:
        DeviceError: The device gives no peak of its memory or of a unit for the type.
    """
    counts = MODELS[queries.kind].counts(queries.dtype, queries.dims)
    nothing, kind, dtype = MeasuredRates(), _WORK[queries.kind], queries.dtype
    arithmetic_s = np.zeros(len(queries))
    for flops, unit in (
        (counts.contraction_flops, contraction_unit(device, nothing, kind, dtype, tf32=False)),
        (counts.pointwise_flops, pointwise_unit(device, nothing, dtype)),
        (counts.transcendental_flops, transcendental_unit(device, nothing, dtype)),
    ):
        if np.any(flops):
            arithmetic_s += flops / _peak_flops_per_s(device, queries, unit)
    bandwidth = device.memory_bandwidth_bytes_per_s
    if bandwidth is None:
        raise DeviceError(what=f"device {device.name!r} gives no peak of its memory bandwidth")
    memory_s = (counts.touched_bytes) / bandwidth.value
    return np.maximum(arithmetic_s, memory_s)


def _peak_flops_per_s(device: Device, queries: KernelBatch, unit: Unit | None) -> float:
    if unit is None:
        raise DeviceError(
            what=f"device {device.name!r} gives no peak for {queries.kind} in {queries.dtype}",
            fix="choose another dtype or device",
        )
    return unit.peak_flops_per_s
