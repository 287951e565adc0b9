import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.memory_bound.layer_norm import LayerNorm

MODEL = LayerNorm()
GRAPH = ExecutionContext(mode="graph")


def test_short_rows_cost_the_cycles_of_their_reduction():
    # 2560 rows of 256 floats are 5 MB in the 40 MiB cache: only cycles are left.
    device = load_device("a100-40gb-pcie")
    c = MODEL.coefficients(device, "f32")
    dims = {"rows": np.array([2560]), "cols": np.array([256])}
    found = MODEL.estimate(Launches(device, "f32", GRAPH, dims, c))
    busy_s = 2560 * (c["row_cycles"] + c["turn_cycles"]) / (108 * 1.41e9)
    assert found.seconds[0] == pytest.approx(c["launch_s"] + busy_s, rel=0.05)
    assert found.limiter[0] == "compute"


def test_long_rows_do_not_stay_in_a_small_cache_for_their_second_read():
    # On T4, 40 SMs hold 8 rows each: of 512 floats 0.6 MiB, of 4096 5 MiB, more than its cache of 4 MiB.
    device = load_device("t4")
    c = {**MODEL.coefficients(device, "f32"), "row_cycles": 1.0, "turn_cycles": 1.0, "unrolled_cycles": 1.0}
    dims = {"rows": np.array([80_000, 10_000]), "cols": np.array([512, 4096])}
    short, long = MODEL.estimate(Launches(device, "f32", GRAPH, dims, c)).seconds
    bytes_per_s = 320e9 * c["memory_fraction"]
    assert short == pytest.approx(
        80_000 * 512 * 8 * (1 + 0.5 * 0.625 / (4 * c["spill_fraction"])) / bytes_per_s, rel=0.03
    )
    assert long == pytest.approx(10_000 * 4096 * 12 / bytes_per_s, rel=0.03)
