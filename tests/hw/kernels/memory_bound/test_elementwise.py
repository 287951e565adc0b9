import numpy as np
import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise

MODEL = Elementwise()
GRAPH = ExecutionContext(mode="graph")


def dims(*functions: str, rows: int = 1000, cols: int = 200):
    count = len(functions)
    return {"fn": np.array(functions), "rows": np.full(count, rows), "cols": np.full(count, cols)}


def test_half_precision_moves_half_the_bytes():
    assert MODEL.counts("bf16", dims("mul")).bytes_read.tolist() == [0.8e6]


def test_a_large_addition_runs_at_the_sustained_bandwidth():
    device = load_device("a100-40gb-pcie")
    coefficients = MODEL.coefficients(device, "f32")
    found = MODEL.estimate(
        Launches(device, "f32", GRAPH, dims("add", rows=100_000, cols=10_000), coefficients)
    )
    bytes_per_s = 1.555e12 * coefficients["memory_fraction"]
    assert found.seconds[0] == pytest.approx(12e9 / bytes_per_s, rel=1e-3)
    assert found.limiter[0] == "memory"


def test_what_fits_the_cache_runs_at_its_rate():
    small_cache, large_cache = load_device("t4"), load_device("l4")  # 4 and 48 MiB, 320 and 300 GB/s
    shape = dims("add", rows=1000, cols=1000)
    slow, fast = (
        MODEL.estimate(Launches(device, "f32", GRAPH, shape, MODEL.coefficients(device, "f32"))).seconds[0]
        for device in (small_cache, large_cache)
    )
    assert fast < slow / 3


def test_an_unknown_function_is_refused():
    with pytest.raises(UsageError) as caught:
        MODEL.counts("f32", dims("add", "sigmod"))
    assert str(caught.value) == (
        "there is no elementwise function 'sigmod'\n"
        "  why: 25 are known; a scalar operand is marked by u, as in 'addu'\n"
        "  fix: did you mean 'sigmoid'?"
    )
