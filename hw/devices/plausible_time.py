"""Plausibility of measured times: none beats the peak of its device, as one in another unit does."""

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device

_MARGIN = 10.0
"""Factor below the time at the peak that is let pass: Winograd's and FFT convolutions multiply less."""


def require_possible(device: Device, measured_s: NDArray[np.float64], flops: NDArray[np.float64]) -> None:
    """Refuse times in which a device cannot have done the FLOPs of their kernels.

    Args:
        device: The device they were measured on.
        measured_s: A row for each kernel.
        flops: FLOPs of their products by the plain count (1 MAC = 2 FLOPs).

    Raises:
        UsageError: A time is too short; the error names the rate, the peak and the likely unit.
    """
    peaks = (*device.vector_peak_flops_per_s.values(), *device.matrix_peak_flops_per_s.values())
    peak = max((each.value for each in peaks), default=np.inf)
    short = measured_s < flops / peak / _MARGIN
    if not short.any():
        return
    row = int(np.argmax(short))
    given_ms, seconds = measured_s[row] * 1e3, float(measured_s[row])
    is_in_s = seconds * 1e3 >= flops[row] / peak / _MARGIN
    raise UsageError(
        what=f"{given_ms:.4g} ms is too short for {flops[row]:.3g} FLOPs",
        why=f"that is {flops[row] / seconds:.3g} FLOP/s, and the peak of {device.name} is {peak:.3g}",
        fix=f"times are in ms: if this one is in s, write {given_ms * 1e3:g}" if is_in_s else None,
    )
