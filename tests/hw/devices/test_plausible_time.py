"""Measured times in another unit than milliseconds: refused with both rates and the likely unit."""

import numpy as np
import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.plausible_time import require_possible
from steelyard.hw.devices.registry import device_names, load_device

FLOPS = 2.0 * 4096**3


@pytest.mark.parametrize("name", device_names())
def test_seconds_for_milliseconds_are_refused_on_every_device(name):
    device = load_device(name)
    peaks = (*device.vector_peak_flops_per_s.values(), *device.matrix_peak_flops_per_s.values())
    right_s = 1.25 * FLOPS / max(peak.value for peak in peaks)
    require_possible(device, np.array([right_s]), np.array([FLOPS]))
    with pytest.raises(UsageError, match=f"if this one is in s, write {right_s * 1e3:g}"):
        require_possible(device, np.array([right_s, right_s * 1e-3]), np.array([FLOPS, FLOPS]))


def test_a_kernel_without_products_may_take_any_time():
    require_possible(load_device("t4"), np.array([1e-9]), np.array([0.0]))
