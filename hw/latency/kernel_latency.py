"""Latency of the kernels of a program on one device, by the first rung of the ladder that knows them.

The rungs, the first to know a kernel gives its time:

1. the op itself, measured on this device and kept in the local profile by its signature;
2. the kernels that do its work, each by `Ladder`: measured rows, interpolated, learned, fitted, analytic;
3. the roofline of the whole op, or a stream of its bytes where kernel models describe the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from steelyard.hw.base.kernel_cost import KernelCost
from steelyard.hw.base.kernel_work import DType, ExecutionContext, KernelWork
from steelyard.hw.base.latency import Latencies, Latency, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.attention.model import FusedAttention
from steelyard.hw.kernels.common.kernel_model import Estimate, Launches
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.memory_bound.streaming import streaming_estimate
from steelyard.hw.latency.analytic_rung import MODELLED
from steelyard.hw.latency.intervals import analytic_spread
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.local_profile import local_profile
from steelyard.hw.latency.roofline import Roofline


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel of an op.

    Attributes:
        query: Its kind and dims, one row; None for one that streams bytes.
        work: What it does, where it has no query.
        backward: Whether it is the gradient of attention.
    """

    query: KernelBatch | None = None
    work: KernelWork | None = None
    backward: bool = False


class KernelLatency:
    """Times the kernels of a program one after the other, on a GPU or a CPU.

    The time of a kernel that models describe is that of the device alone; the host dispatches ahead of it.

    Args:
        device: The device.
        context: How the program is run.
        measured: Whether the local profile comes before every model.

    Raises:
        DeviceError: The profile is damaged, or the device has no rates for the threads of the context.
    """

    def __init__(self, device: Device, context: ExecutionContext, *, measured: bool = True) -> None:
        self._device = device
        self._is_modelled = device.kind in MODELLED
        self._context = replace(context, host_overhead=False) if self._is_modelled else context
        self._profile = local_profile(device, context) if measured else None
        self._ladder = Ladder(device, self._context, measured)
        self._roofline = Roofline(device, context)

    @property
    def has_profile(self) -> bool:
        """Whether ops were measured on this device in this context, so that their signatures matter."""
        return self._profile is not None

    @property
    def roofline(self) -> Roofline:
        """The rung below all others."""
        return self._roofline

    def time(
        self, work: KernelWork, kernels: Sequence[Kernel] = (), signature: str = "", dtype: DType = "f32"
    ) -> Latency:
        """Return the latency of an op.

        Args:
            work: What it does altogether.
            kernels: The kernels that do it, as far as they are of a kind that has dims; none for the others.
            signature: That of the op in the local profile, "" where it is no op of a program.
            dtype: The type that its arithmetic is done in.

        Raises:
            DeviceError: The device lacks what the work needs.
        """
        modelled = self._of_kernels(kernels) or self._of_work(work)
        found = self._profile.op(signature, dtype) if self._profile and work.kind != "view" else None
        if found is None:
            return modelled
        # A measured time does not tell what limits it.
        return LatencyEstimate(found.median_s, found.low_s, found.high_s, modelled.limiter, "measured")

    def _of_kernels(self, kernels: Sequence[Kernel]) -> Latency | None:
        """Return the sum of kernels, None where there are none or the rungs do not know one of them."""
        parts: list[Latency] = []
        for kernel in kernels:
            part = self._of_kernel(kernel)
            if part is None:
                return None
            parts.append(part)
        return reduce(add, parts) if parts else None

    def _of_kernel(self, kernel: Kernel) -> Latency | None:
        if kernel.query is None:
            return self._of_work(kernel.work) if kernel.work and self._is_modelled else None
        if kernel.backward:
            return self._backward(kernel.query).only if self._is_modelled else None
        found = self._ladder.known(kernel.query)
        return found.only if found else None

    def _of_work(self, work: KernelWork) -> Latency:
        if not self._is_modelled or work.contraction_flops or work.kind in ("view", "collective"):
            return self._roofline.latency(work)
        columns = {name: np.array([float(count)]) for name, count in work.counts().items()}
        estimate = streaming_estimate(self._device, self._context, KernelCost(**columns))
        return _with_spread(estimate, "elementwise", work.dtype).only

    def _backward(self, query: KernelBatch) -> Latencies:
        model = FusedAttention(query.kind)  # pyright: ignore[reportArgumentType] - only attention has one
        coefficients = model.coefficients(self._device, query.dtype)
        estimate = model.backward(
            Launches(self._device, query.dtype, self._context, query.dims, coefficients)
        )
        return _with_spread(estimate, query.kind, query.dtype)


def _with_spread(estimate: Estimate, kind: str, dtype: DType) -> Latencies:
    low_s, high_s = analytic_spread(kind, dtype).interval(estimate.seconds, estimate.floor_s)
    return LatencyEstimate(estimate.seconds, low_s, high_s, estimate.limiter, np.full(len(low_s), "analytic"))
