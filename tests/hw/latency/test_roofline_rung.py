import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.roofline import roofline_latency
from steelyard.hw.latency.roofline_rung import peak_roofline_s, roofline_prices

DIMS = {
    "b": np.array([1, 1]),
    "m": np.array([4096, 1]),
    "n": np.array([4096, 4096]),
    "k": np.array([4096, 4096]),
}


def test_the_roofline_of_peaks_is_hand_arithmetic():
    found = peak_roofline_s(load_device("h100-sxm"), KernelBatch("gemm", "bf16", DIMS))
    assert found == pytest.approx([2 * 4096**3 / 989.4e12, 2 * (4096**2 + 2 * 4096) / 3.35e12])


def test_the_rung_is_the_roofline_of_each_kernel():
    device, context = load_device("cpu"), ExecutionContext()
    prices = roofline_prices(device, context, KernelBatch("gemm", "f32", DIMS))
    n = 4096
    work = KernelWork(
        kind="contraction",
        dtype="f32",
        contraction_flops=2 * n**3,
        bytes_read=8 * n * n,
        bytes_written=4 * n * n,
    )
    one = roofline_latency(device, work, context)
    assert (prices.value_s[0], prices.low_s[0], prices.high_s[0]) == (one.value_s, one.low_s, one.high_s)
    assert (prices.limiter[0], prices.source[0]) == (one.limiter, one.source)
    assert len(prices.value_s) == 2
