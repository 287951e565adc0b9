"""The analytic rung: kernel models with the constants of the device's architecture family."""

import numpy as np

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.intervals import analytic_spread

MODELLED = ("gpu", "soc")
"""The kinds of devices that the kernel models describe."""


def analytic_prices(device: Device, context: ExecutionContext, queries: KernelBatch) -> Latencies | None:
    """Return the prices of kernels from the data sheet, or None where no model describes the device.

    Raises:
        DeviceError: The device's file lacks what the model needs.
    """
    if device.kind not in MODELLED:
        return None
    model = MODELS[queries.kind]
    coefficients = model.coefficients(device, queries.dtype)
    estimate = model.estimate(device, queries.dtype, context, queries.dims, coefficients)
    value_s = np.maximum(estimate.seconds, estimate.floor_s)
    spread = analytic_spread(queries.kind, queries.dtype, device.compute_capability)
    low_s, high_s = spread.interval(value_s, estimate.floor_s)
    source = np.full(len(value_s), "analytic")
    return LatencyEstimate(value_s, low_s, high_s, estimate.limiter, source)
