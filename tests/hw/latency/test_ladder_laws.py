"""What holds of every price that a shipped device gives, whatever its rung."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.registry import device_names, load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.ladder import Ladder

TILE = 256
GROWING: dict[str, tuple[str, ...]] = {
    "gemm": ("m", "n", "k"),
    "bmm": ("b", "m", "n", "k"),
    "elementwise": ("rows", "cols"),
    "softmax": ("rows",),
    "layer_norm": ("rows",),
    "attention_prefill": ("b", "hkv"),
    "attention_decode": ("b", "skv"),
}
FIXED = {"fn": "add", "d": 128, "causal": 1, "hq": 32, "sq": 1}
FITTED = [
    (name, kind, dtype, mode)
    for name in device_names()
    for kind, types in load_device(name).fitted.items()
    for dtype, modes in types.items()
    for mode in modes
]


def test_devices_that_were_measured_ship_with_fits():
    assert {name for name, *_ in FITTED} >= {"a100-80gb-sxm", "h100-sxm", "p100-pcie", "t4", "v100-pcie-32gb"}


@pytest.mark.parametrize(("name", "kind", "dtype", "mode"), FITTED)
def test_shipped_fits_are_of_the_models_that_ship(name: str, kind: str, dtype: DType, mode: str):
    device = load_device(name)
    fit = device.fitted[kind][dtype][mode]  # type: ignore[index]
    assert fit.coefficients.keys() == KINDS[kind].model.coefficients(device, dtype).keys(), (
        "run benchmarks/fit_devices.py again"
    )
    assert fit.mean_error <= fit.mean_error_before


@st.composite
def kernels(draw: st.DrawFn) -> tuple[str, ExecutionContext, KernelBatch, KernelBatch]:
    """A kernel on a device, and the same with one dim a whole number of tiles longer."""
    kind = draw(st.sampled_from(sorted(GROWING)))
    device = draw(st.sampled_from(["h100-sxm", "a100-40gb-pcie", "t4", "p100-pcie", "l4"]))
    tiles = {dim: draw(st.integers(1, 16)) for dim in KINDS[kind].dims}
    dims = {dim: np.array([FIXED.get(dim, TILE * tiles[dim])]) for dim in KINDS[kind].dims}
    for few in ("b", "hkv"):
        if few in dims and kind != "gemm":
            dims[few] = np.array([tiles[few]])
    if "hq" in dims:
        dims["hkv"] = np.array([draw(st.sampled_from([1, 2, 4, 8]))])
    if kind == "attention_prefill":
        dims["sq"] = dims["skv"]
    more = draw(st.sampled_from([dim for dim in GROWING[kind] if dim != "hkv"]))
    larger = dims | {more: dims[more] * draw(st.integers(2, 4))}
    mode = draw(st.sampled_from(["eager", "graph"]))
    dtype = draw(st.sampled_from(["f32", "f16"]))
    context = ExecutionContext(mode=mode)
    return device, context, KernelBatch(kind, dtype, dims), KernelBatch(kind, dtype, larger)


@given(kernels())
def test_more_work_never_takes_less_time(drawn: tuple[str, ExecutionContext, KernelBatch, KernelBatch]):
    name, context, small, large = drawn
    ladder = Ladder(load_device(name), context)
    assert ladder.price(small).value_s[0] <= ladder.price(large).value_s[0] * (1 + 1e-9)


@given(kernels(), st.floats(1.0, 4.0))
def test_a_device_with_more_bandwidth_is_never_slower(
    drawn: tuple[str, ExecutionContext, KernelBatch, KernelBatch], factor: float
):
    name, context, queries, _ = drawn
    device = load_device(name)
    bandwidth = device.memory_bandwidth_bytes_per_s
    assert bandwidth
    faster = replace(device, memory_bandwidth_bytes_per_s=replace(bandwidth, value=bandwidth.value * factor))
    before, after = (Ladder(each, context).price(queries) for each in (device, faster))
    assert after.value_s[0] <= before.value_s[0] * (1 + 1e-9)


@given(kernels())
def test_an_interval_holds_its_price(drawn: tuple[str, ExecutionContext, KernelBatch, KernelBatch]):
    name, context, queries, _ = drawn
    prices = Ladder(load_device(name), context).price(queries)
    assert 0 < prices.low_s[0] <= prices.value_s[0] <= prices.high_s[0] < np.inf
