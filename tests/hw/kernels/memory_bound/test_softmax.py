import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.memory_bound.softmax import Softmax

MODEL = Softmax()
GRAPH = ExecutionContext(mode="graph")


def seconds(device: str, rows: int, cols: list[int]):
    found = load_device(device)
    dims = {"rows": np.full(len(cols), rows), "cols": np.array(cols)}
    return MODEL.estimate(Launches(found, "f32", GRAPH, dims, MODEL.coefficients(found, "f32"))).seconds


def test_a_warp_does_a_row_in_cycles_of_the_padded_row():
    # 1.31e6 elements: in the 40 MiB cache, so that cycles count; 513 columns are padded to 1024.
    device = load_device("a100-40gb-pcie")
    coefficients = {**MODEL.coefficients(device, "f32"), "overlap_exponent": 100.0, "launch_s": 1e-6}
    dims = {"rows": np.array([2560]), "cols": np.array([513])}
    found = MODEL.estimate(Launches(device, "f32", GRAPH, dims, coefficients))
    busy_s = 2560 * coefficients["warp_cycles_per_element"] * 1024 / (108 * 1.41e9)
    assert found.seconds[0] == pytest.approx(1e-6 + busy_s, rel=0.05)


def test_rows_past_the_warp_kernel_are_read_again():
    in_warp, in_block = seconds("p100-pcie", 20_000, [1024, 1028])
    assert in_block > 1.3 * in_warp
