"""The fitted rung: kernel models with coefficients of the device itself, and what they leave."""

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import ExecutionContext, ExecutionMode
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Fit
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Floats, KernelBatch
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.intervals import analytic_spread
from steelyard.hw.latency.residual import residual_at, within_points

_NEXT: dict[ExecutionMode, tuple[ExecutionMode, ...]] = {
    "eager": ("compiled", "graph"),
    "graph": ("compiled", "eager"),
    "compiled": ("eager", "graph"),
}
"""Whose coefficients to take where a context has none of its own: the kernels are the same."""


def fitted_prices(device: Device, context: ExecutionContext, queries: KernelBatch) -> Latencies | None:
    """Return the prices of kernels on a calibrated device, or None where it is not calibrated for them.

    Within its calibration points a price is `interpolated`, outside of them `fitted`.

    Raises:
        DeviceError: The device's file was calibrated for another version of the model.
    """
    fits = device.fitted.get(queries.kind, {}).get(queries.dtype, {})
    fit = fits.get(context.mode)
    if fit is not None:
        return _own_prices(device, context, queries, fit)
    other = next((fits[mode] for mode in _NEXT[context.mode] if mode in fits), None)
    if other is None:
        return None
    estimate = _estimate(device, context, queries, other.coefficients)
    value_s = np.maximum(estimate.seconds, estimate.floor_s)
    # How the host and the launch differ between contexts was not measured on this device.
    spread = analytic_spread(queries.kind, queries.dtype, device.compute_capability)
    low_s, high_s = spread.interval(value_s, estimate.floor_s)
    return LatencyEstimate(value_s, low_s, high_s, estimate.limiter, np.full(len(value_s), "fitted"))


def _own_prices(device: Device, context: ExecutionContext, queries: KernelBatch, fit: Fit) -> Latencies:
    estimate = _estimate(device, context, queries, fit.coefficients)
    plain_s = np.maximum(estimate.seconds, estimate.floor_s)
    low_s, high_s = fit.spread.interval(plain_s, estimate.floor_s)
    source = np.full(len(plain_s), "fitted", dtype="<U12")
    if fit.residual is None or fit.residual_spread is None:
        return LatencyEstimate(plain_s, low_s, high_s, estimate.limiter, source)
    ratio = np.exp(residual_at(fit.residual, queries.kind, queries.dims))
    value_s: Floats = np.maximum(plain_s * ratio, estimate.floor_s)
    within = within_points(fit.residual, queries.kind, queries.dims)
    near_low_s, near_high_s = fit.residual_spread.interval(value_s, estimate.floor_s)
    low_s, high_s = fit.spread.interval(value_s, estimate.floor_s)
    return LatencyEstimate(
        value_s,
        np.where(within, near_low_s, low_s),
        np.where(within, near_high_s, high_s),
        estimate.limiter,
        np.where(within, "interpolated", source),
    )


def _estimate(
    device: Device, context: ExecutionContext, queries: KernelBatch, coefficients: Coefficients
) -> Estimate:
    model = MODELS[queries.kind]
    missing = model.coefficients(device, queries.dtype).keys() ^ coefficients.keys()
    if missing:
        raise DeviceError(
            what=f"the fit of {queries.kind} in {queries.dtype} on {device.name!r} is of another version",
            why=f"{', '.join(sorted(missing))}: in the model or in the file, not in both",
            fix="calibrate the device again with `steelyard calibrate --from`",
        )
    return model.estimate(device, queries.dtype, context, queries.dims, coefficients)
