"""The ladder of latencies: the first rung that knows a kernel on a device prices it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.dtype_support import PRODUCTS, require_type
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.analytic_rung import analytic_prices
from steelyard.hw.latency.fitted_rung import fitted_prices
from steelyard.hw.latency.learned_rung import learned_prices
from steelyard.hw.latency.measured_rung import measured_prices, take
from steelyard.hw.latency.roofline_rung import roofline_prices

Rung = Callable[[Device, ExecutionContext, KernelBatch], Latencies | None]
"""Prices kernels, or returns None where it knows nothing of them."""

# What was measured on this very device and shape, and what was learned there, come before all of these.
RUNGS: tuple[Rung, ...] = (fitted_prices, analytic_prices)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Prices of kernels on one device in one context.

    Attributes:
        device: The device.
        context: How the kernels are run.
        measured: Whether what the local profile knows comes first.
    """

    device: Device
    context: ExecutionContext
    measured: bool = True

    def price(self, queries: KernelBatch) -> Latencies:
        """Return the time of each kernel with its interval, limiter and source.

        Raises:
            DeviceError: The device lacks a unit for the type, or its file what a model needs.
            UsageError: A function of an elementwise kernel is not known.
        """
        if self.context.tf32 and queries.dtype == "f32" and queries.kind in PRODUCTS:
            queries = replace(queries, dtype="tf32" if "tf32" in self._peaks() else "f32")
        require_type(self.device, queries.kind, queries.dtype)
        if not self.measured:
            return self._modelled(queries)
        known = measured_prices(self.device, self.context, queries, self._modelled)
        return _completed(known, queries, self._modelled)

    def _modelled(self, queries: KernelBatch) -> Latencies:
        known = learned_prices(self.device, self.context, queries)
        return _completed(known, queries, self._by_rungs)

    def _by_rungs(self, queries: KernelBatch) -> Latencies:
        for rung in RUNGS:
            prices = rung(self.device, self.context, queries)
            if prices is not None:
                return prices
        return roofline_prices(self.device, self.context, queries)

    def _peaks(self) -> set[str]:
        return {*self.device.matrix_peak_flops_per_s, *self.device.vector_peak_flops_per_s}


def _completed(
    known: tuple[NDArray[np.bool_], Latencies] | None,
    queries: KernelBatch,
    rest: Callable[[KernelBatch], Latencies],
) -> Latencies:
    """Return the prices of all rows: those of some that are known, and what prices the rest."""
    if known is None:
        return rest(queries)
    rows, prices = known
    if rows.all():
        return prices
    order = np.argsort(np.concatenate([np.flatnonzero(rows), np.flatnonzero(~rows)]))
    return LatencyEstimate.joined([prices, rest(take(queries, ~rows))], order)
