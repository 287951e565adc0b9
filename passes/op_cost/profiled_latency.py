"""Profiled latency of a program's ops."""

from functools import partial, reduce
from operator import add

from steelyard.compiler.analysis.op_facts import OpInfo, OpInfoCache, to_call
from steelyard.compiler.analysis.op_signature import FROM_MEMORY, signature_in_place
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.latency import Latency, LatencyEstimate, Limiter
from steelyard.hw.devices.device import Device
from steelyard.hw.latency.gpu_kernel_latency import GpuKernelLatency
from steelyard.hw.latency.local_profile import Profile, local_profile
from steelyard.hw.latency.measured_rung import measured_prices
from steelyard.hw.latency.profile_store import Measurement
from steelyard.hw.latency.roofline_rung import roofline_prices
from steelyard.passes.op_cost.kernel_query import KernelQuery, kernel_queries


class ProfiledLatency:
    """Times ops that were measured on this device, and kernels that lie between measured ones.

    Args:
        device: The device.
        context: How the program is run.
        profile: What was measured there.
    """

    def __init__(self, device: Device, context: ExecutionContext, profile: Profile) -> None:
        self._device = device
        self._context = context
        self._profile = profile
        self._modelled = partial(roofline_prices, device, context)
        self._reader = OpInfoCache()
        self._by_query: dict[tuple[KernelQuery, DType], Latency | None] = {}

    @staticmethod
    def of(device: Device, context: ExecutionContext) -> "ProfiledLatency | None":
        """Return the clock of the user's profile, None where it knows nothing of the device.

        Raises:
            DeviceError: The profile is damaged.
        """
        profile = local_profile(device, context)
        return ProfiledLatency(device, context, profile) if profile else None

    def time(self, op: TorchOp, facts: OpInfo, dtype: DType, limiter: Limiter) -> Latency | None:
        """Return what an op takes, None where neither it nor its like was measured.

        Args:
            op: No view.
            facts: Its work.
            dtype: The type that it calculates in.
            limiter: What limits it by the model; a measured time does not tell.
        """
        found = self._measured(op, dtype)
        if found is not None:
            return LatencyEstimate(found.median_s, found.low_s, found.high_s, limiter, "measured")
        # The ladder of a device with kernel models looks between measured kernels by itself.
        if facts.work is None or GpuKernelLatency.knows(self._device):
            return None
        parts = [self._between(query, dtype) for query in kernel_queries(to_call(op), facts.work)]
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        return reduce(add, known)

    def _measured(self, op: TorchOp, dtype: DType) -> Measurement | None:
        """Return what was measured of an op where it stands, else of one whose operands are elsewhere."""
        here = signature_in_place(op, self._reader)
        call = here.removesuffix(FROM_MEMORY)
        elsewhere = call if here != call else call + FROM_MEMORY
        return self._profile.op(here, dtype) or self._profile.op(elsewhere, dtype)

    def _between(self, query: KernelQuery, dtype: DType) -> Latency | None:
        key = query, dtype
        if key not in self._by_query:
            self._by_query[key] = None if query.backward else self._price(query, dtype)
        return self._by_query[key]

    def _price(self, query: KernelQuery, dtype: DType) -> Latency | None:
        found = measured_prices(self._device, self._context, query.rows(dtype), self._modelled)
        return found[1].only if found else None
