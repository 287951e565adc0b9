"""Dispatch overhead of a kernel: the host's call in eager execution, the launch alone in a graph."""

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.typical_factors import LAUNCH_OVERHEAD_S, dispatch_overhead_s
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats

CALL_S = 26e-6
"""An eager `torch.add` of two small tensors between two CUDA events after a synchronisation: 26.2 to 26.6 us
with P4, T4 and A100 (NeuSight 6945927, PyTorch 2.1). The device waits for its host there, so this is the
host's time, and what a device of an unknown host is given; 32.5 us with V100 and 45 us with P100 show how far
hosts differ. Calls that follow each other without a wait take about a third."""


def call_coefficients(device: Device) -> dict[str, float]:
    """Return the times that start a kernel on a device.

    `call_s` is the host's time for one eager call, `launch_s` what a kernel takes besides its work where the
    host is ahead of the device.
    """
    sustained = device.sustained_with(None)
    call, launch = sustained.call_overhead_s, sustained.launch_overhead_s
    return {
        "call_s": call.value if call else CALL_S,
        "launch_s": launch.value if launch else LAUNCH_OVERHEAD_S[device.kind],
    }


def timed(
    context: ExecutionContext,
    busy_s: Floats,
    limiter: NDArray[np.str_],
    call_ratio: Floats | float,
    coefficients: Coefficients,
) -> tuple[Floats, NDArray[np.str_]]:
    """Return what a context measures of kernels, and what limits each.

    Where the host counts, the kernel starts after `lead_fraction` of the call, and the call is over no sooner
    than the host: max(call, lead_fraction call + busy). Else a launch comes on top: launch + busy.

    Args:
        context: Eager and compiled calls are timed one by one, a graph has no host.
        busy_s: Time on the device.
        limiter: What limits that.
        call_ratio: The host's time over `call_s`.
        coefficients: `call_s`, `launch_s` and `lead_fraction`.
    """
    if context.mode == "graph" or not context.host_overhead:
        launch_s = coefficients["launch_s"]
        return launch_s + busy_s, np.where(busy_s < launch_s, "launch", limiter)
    call_s = coefficients["call_s"] * call_ratio
    device_s = coefficients["lead_fraction"] * call_s + busy_s
    return np.maximum(call_s, device_s), np.where(device_s < call_s, "host", limiter)


def after_dispatch(
    device: Device, context: ExecutionContext, seconds: Floats, limiter: NDArray[np.str_]
) -> tuple[Floats, NDArray[np.str_]]:
    """Return the times of kernels in a stream of them, none shorter than the host takes to dispatch it."""
    if not context.host_overhead or context.mode == "graph":
        return seconds, limiter
    host_s = dispatch_overhead_s(device, context.threads)
    return np.maximum(seconds, host_s), np.where(seconds < host_s, "host", limiter)
