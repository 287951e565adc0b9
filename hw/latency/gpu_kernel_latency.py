"""Kernels of a running program: the ladder's prices, with a host that runs ahead of its device."""

from dataclasses import replace

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_cost import KernelCost
from steelyard.hw.base.kernel_work import DType, ExecutionContext, KernelWork
from steelyard.hw.base.latency import Latencies, Latency, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.attention.model import FusedAttention
from steelyard.hw.kernels.common.dispatch import dispatch_s
from steelyard.hw.kernels.common.kernel_model import Estimate
from steelyard.hw.kernels.common.kernel_queries import KernelBatch, KernelKind
from steelyard.hw.kernels.memory_bound.streaming import streaming_estimate
from steelyard.hw.kernels.registry import MODELS
from steelyard.hw.latency.analytic_rung import MODELLED
from steelyard.hw.latency.intervals import analytic_spread
from steelyard.hw.latency.ladder import Ladder


class GpuKernelLatency:
    """Times one kernel after the other on a device that the kernel models describe.

    In a program the host dispatches ahead: it shows only where a kernel is shorter than the dispatch of the
    next, and nothing waits for events as where calls are measured one by one.

    Args:
        device: A device of a kind that `knows` accepts.
        context: How the program is run.
        measured: Whether what the local profile knows of a kernel comes before every model.
    """

    def __init__(self, device: Device, context: ExecutionContext, *, measured: bool = True) -> None:
        self._device = device
        self._ahead = replace(context, host_overhead=False)
        self._ladder = Ladder(device, self._ahead, measured)
        eager = context.host_overhead and context.mode == "eager"
        self._dispatch_s = dispatch_s(device) if eager else 0.0

    @staticmethod
    def knows(device: Device) -> bool:
        """Whether kernel models describe a device."""
        return device.kind in MODELLED

    def has_model(self, kind: KernelKind, dtype: DType) -> bool:
        """Whether a kind of kernel was modelled in a type; the roofline knows the others."""
        try:
            MODELS[kind].coefficients(self._device, dtype)
        except DeviceError:
            return False
        return True

    def time(self, query: KernelBatch, *, backward: bool = False) -> Latency:
        """Return the time of one kernel.

        Args:
            query: One row.
            backward: Of attention: its gradient.

        Raises:
            DeviceError: The device lacks what the kernel needs.
        """
        prices = self._backward(query) if backward else self._ladder.price(query)
        return self._with_host(prices)

    def stream(self, work: KernelWork) -> Latency:
        """Return the time of a kernel that reads and writes each byte once."""
        columns = {name: np.array([float(count)]) for name, count in work.counts().items()}
        estimate = streaming_estimate(self._device, self._ahead, KernelCost(**columns))
        return self._with_host(_with_spread(estimate, "elementwise", work.dtype))

    def _backward(self, query: KernelBatch) -> Latencies:
        model = FusedAttention(query.kind)  # pyright: ignore[reportArgumentType] - only attention has one
        coefficients = model.coefficients(self._device, query.dtype)
        estimate = model.backward(self._device, query.dtype, self._ahead, query.dims, coefficients)
        return _with_spread(estimate, query.kind, query.dtype)

    def _with_host(self, prices: Latencies) -> Latency:
        alone = prices.only
        if alone.value_s >= self._dispatch_s:
            return alone
        high_s = max(alone.high_s, self._dispatch_s)
        return LatencyEstimate(self._dispatch_s, alone.low_s, high_s, "host", alone.source)


def _with_spread(estimate: Estimate, kind: KernelKind, dtype: DType) -> Latencies:
    low_s, high_s = analytic_spread(kind, dtype).interval(estimate.seconds, estimate.floor_s)
    return LatencyEstimate(estimate.seconds, low_s, high_s, estimate.limiter, np.full(len(low_s), "analytic"))
