"""The latency ladder: estimates of kernels by the first rung that knows them.

Rungs in order: measured row > interpolated between measured rows > learned > fitted > analytic > roofline
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.dtype_support import require_type
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.analytic_rung import MODELLED, analytic_prices
from steelyard.hw.latency.fitted_rung import fitted_prices
from steelyard.hw.latency.learned_rung import learned_prices
from steelyard.hw.latency.measured_rung import measured_prices, take
from steelyard.hw.latency.roofline_rung import roofline_prices

Rung = Callable[[Device, ExecutionContext, KernelBatch], Latencies | None]
"""Estimates kernels, or returns None where it knows nothing of them."""

# Rungs that know all kernels of a kind or none; measured and learned ones, which know some, come before.
_MODELS: tuple[Rung, ...] = (fitted_prices, analytic_prices)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Estimates of kernels on one device in one context.

    Attributes:
        device: The device.
        context: How the kernels are run.
        measured: Whether the local profile comes first.
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
        queries = self._rounded(queries)
        require_type(self.device, KINDS[queries.kind], queries.dtype)
        found = self._climbed(queries, (*_MODELS, roofline_prices))
        assert found is not None, "a roofline knows every kernel"
        return found

    def known(self, queries: KernelBatch) -> Latencies | None:
        """Return the time of each kernel as `price` does, None where only the roofline knows one of them.

        Raises:
            DeviceError: As for `price`, of a device that kernel models describe.
        """
        queries = self._rounded(queries)
        if self.device.kind in MODELLED:
            require_type(self.device, KINDS[queries.kind], queries.dtype)
        return self._climbed(queries, _MODELS)

    def _climbed(self, queries: KernelBatch, models: tuple[Rung, ...]) -> Latencies | None:
        known = self.measured and measured_prices(self.device, self.context, queries, self._modelled)
        return _completed(known or None, queries, lambda rest: self._unmeasured(rest, models))

    def _modelled(self, queries: KernelBatch) -> Latencies:
        """Return estimates without measured rows, which interpolate between the ratios of both."""
        found = self._unmeasured(queries, (*_MODELS, roofline_prices))
        assert found is not None, "a roofline knows every kernel"
        return found

    def _unmeasured(self, queries: KernelBatch, models: tuple[Rung, ...]) -> Latencies | None:
        learned = learned_prices(self.device, self.context, queries)
        return _completed(learned, queries, lambda rest: self._by_models(rest, models))

    def _by_models(self, queries: KernelBatch, models: tuple[Rung, ...]) -> Latencies | None:
        for rung in models:
            prices = rung(self.device, self.context, queries)
            if prices is not None:
                return prices
        return None

    def _rounded(self, queries: KernelBatch) -> KernelBatch:
        if not (self.context.tf32 and queries.dtype == "f32" and KINDS[queries.kind].multiplies):
            return queries
        peaks = {*self.device.matrix_peak_flops_per_s, *self.device.vector_peak_flops_per_s}
        return replace(queries, dtype="tf32" if "tf32" in peaks else "f32")


def _completed(
    known: tuple[NDArray[np.bool_], Latencies] | None,
    queries: KernelBatch,
    rest: Callable[[KernelBatch], Latencies | None],
) -> Latencies | None:
    """Return the estimates of all rows: the known ones, and those of the rest; None if nothing knows it."""
    if known is None:
        return rest(queries)
    rows, prices = known
    if rows.all():
        return prices
    others = rest(take(queries, ~rows))
    if others is None:
        return None
    order = np.argsort(np.concatenate([np.flatnonzero(rows), np.flatnonzero(~rows)]))
    return LatencyEstimate.joined([prices, others], order)
