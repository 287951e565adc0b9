"""What holds of elementwise kernels, softmax and layer norm whatever their shape, function and device."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Estimate, KernelModel, Launches
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise
from steelyard.hw.kernels.memory_bound.elementwise_functions import FUNCTIONS
from steelyard.hw.kernels.memory_bound.layer_norm import LayerNorm
from steelyard.hw.kernels.memory_bound.softmax import Softmax

MODELS = {"elementwise": Elementwise(), "softmax": Softmax(), "layer_norm": LayerNorm()}
DEVICES = {name: load_device(name) for name in ("p4", "t4", "a100-40gb-pcie", "h100-sxm", "l4", "b200-sxm")}
GRAPH = ExecutionContext(mode="graph")
UNROLLED_COLS = 2048
"""Four turns of layer norm's loop, and a multiple of what any other of these kernels takes at once."""

models = st.sampled_from(sorted(MODELS))
devices = st.sampled_from(sorted(DEVICES))
contexts = st.sampled_from([ExecutionContext(), GRAPH, ExecutionContext(host_overhead=False)])
dtypes: st.SearchStrategy[DType] = st.sampled_from(["f32", "bf16"])
functions = st.sampled_from(sorted(FUNCTIONS))
rows = st.integers(1, 200_000)
cols = st.integers(1, 20_000)


def estimate(
    model: KernelModel,
    device: Device,
    rows: int,
    cols: int,
    dtype: DType = "f32",
    context: ExecutionContext = GRAPH,
    fn: str = "add",
) -> Estimate:
    dims = {"fn": np.array([fn]), "rows": np.array([rows]), "cols": np.array([cols])}
    return model.estimate(Launches(device, dtype, context, dims, model.coefficients(device, dtype)))


@given(models, devices, rows, cols, dtypes, contexts, functions)
def test_no_time_is_below_the_floor(name, device, rows, cols, dtype, context, fn):
    found = estimate(MODELS[name], DEVICES[device], rows, cols, dtype, context, fn)
    assert np.isfinite(found.seconds[0])
    assert found.seconds[0] >= found.floor_s[0] >= 0
    assert found.limiter[0] in ("compute", "memory", "launch", "host")


@given(models, devices, rows, cols, dtypes, functions, st.floats(1, 10))
def test_more_bandwidth_is_never_slower(name, device, rows, cols, dtype, fn, factor):
    before = DEVICES[device]
    assert before.memory_bandwidth_bytes_per_s
    bandwidth = before.memory_bandwidth_bytes_per_s
    after = replace(before, memory_bandwidth_bytes_per_s=replace(bandwidth, value=bandwidth.value * factor))
    model = MODELS[name]
    slow = estimate(model, before, rows, cols, dtype, fn=fn).seconds[0]
    assert estimate(model, after, rows, cols, dtype, fn=fn).seconds[0] <= slow * (1 + 1e-9)


@given(models, devices, rows, cols, functions, st.floats(1, 10))
def test_a_higher_clock_and_peak_are_never_slower(name, device, rows, cols, fn, factor):
    before = DEVICES[device]
    assert before.boost_clock_hz
    peaks = before.vector_peak_flops_per_s
    after = replace(
        before,
        boost_clock_hz=replace(before.boost_clock_hz, value=before.boost_clock_hz.value * factor),
        vector_peak_flops_per_s={**peaks, "f32": replace(peaks["f32"], value=peaks["f32"].value * factor)},
    )
    model = MODELS[name]
    slow = estimate(model, before, rows, cols, fn=fn).seconds[0]
    assert estimate(model, after, rows, cols, fn=fn).seconds[0] <= slow * (1 + 1e-9)


@given(models, devices, rows, cols, st.integers(1, 100_000), contexts, functions)
def test_more_rows_take_no_less(name, device, rows, cols, more, context, fn):
    few = estimate(MODELS[name], DEVICES[device], rows, cols, context=context, fn=fn).seconds[0]
    many = estimate(MODELS[name], DEVICES[device], rows + more, cols, context=context, fn=fn).seconds[0]
    assert many >= few * (1 - 1e-9)


@given(models, devices, rows, cols, st.integers(1, 8), contexts, functions)
def test_longer_rows_take_no_less(name, device, rows, cols, more, context, fn):
    few = estimate(MODELS[name], DEVICES[device], rows, cols, context=context, fn=fn).seconds[0]
    longer = cols + more * UNROLLED_COLS
    many = estimate(MODELS[name], DEVICES[device], rows, longer, context=context, fn=fn).seconds[0]
    assert many >= few * (1 - 1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_all_coefficients_are_positive(name):
    for device in DEVICES.values():
        assert all(value > 0 for value in MODELS[name].coefficients(device, "f32").values())


@pytest.mark.parametrize("name", MODELS)
def test_a_cpu_has_no_such_model(name):
    with pytest.raises(DeviceError, match="cpu has no model of memory-bound kernels"):
        MODELS[name].coefficients(load_device("cpu"), "f32")


def test_the_host_hides_a_small_kernel_in_eager_execution_alone():
    device = DEVICES["a100-40gb-pcie"]
    eager = estimate(MODELS["softmax"], device, 8, 8, context=ExecutionContext())
    graph = estimate(MODELS["softmax"], device, 8, 8, context=GRAPH)
    assert eager.limiter[0] == "host"
    assert eager.seconds[0] == pytest.approx(26.6e-6 * 1.26)
    assert graph.limiter[0] == "launch"
    assert graph.seconds[0] < 4e-6
