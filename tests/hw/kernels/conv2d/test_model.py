"""Convolutions: hand arithmetic, laws, the algorithms that are chosen, and the open measurements."""

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.quantity import Quantity, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Estimate, Launches
from steelyard.hw.kernels.common.kernel_queries import Column
from steelyard.hw.kernels.conv2d.execution_unit import conv_unit
from steelyard.hw.kernels.conv2d.implicit_gemm import ADDS_PER_CYCLE, atomic_gemm, implicit_gemm
from steelyard.hw.kernels.conv2d.model import Conv2dModel, chosen_algorithms
from steelyard.hw.kernels.conv2d.shape import ConvShape
from steelyard.hw.kernels.conv2d.winograd import fused_winograd
from steelyard.hw.kernels.registry import KINDS

MODEL = Conv2dModel()
GRAPH = ExecutionContext(mode="graph")
EAGER = ExecutionContext(mode="eager")
NAMES = ("p100-pcie", "v100-pcie-32gb", "t4", "a100-80gb-pcie", "h100-sxm")
DEVICES = {name: load_device(name) for name in NAMES}
V100 = DEVICES["v100-pcie-32gb"]
MEASURED = Path(os.environ["STEELYARD_MEASURED"])

ROW: dict[str, int | str] = {
    "n": 16,
    "c": 64,
    "h": 56,
    "w": 56,
    "o": 128,
    "r": 3,
    "s": 3,
    "stride": 1,
    "pad": 1,
    "groups": 1,
    "direction": "fwd",
}
BARE = {
    **MODEL.coefficients(V100, "f32"),
    "cycles_per_step": 1.0,
    "operand_load_cycles": 0.0,
    "tile_prologue_steps": 0.0,
    "latency_outputs": 0.0,
    "memory_fraction": 1e9,
    "power_fraction": 2.0,
}
"""Constants of products that take their multiply-adds and nothing else."""

devices = st.sampled_from(sorted(DEVICES)).map(DEVICES.__getitem__)
dtypes: st.SearchStrategy[DType] = st.sampled_from(["f32", "bf16"])


@st.composite
def rows(draw: st.DrawFn, tiles: bool = False) -> dict[str, int | str]:
    """Draw a convolution; of whole tiles of every algorithm where wished."""
    unit = {"n": 16, "c": 32, "o": 128} if tiles else {"n": 1, "c": 1, "o": 1}
    sizes: dict[str, int | str] = {dim: each * draw(st.integers(1, 12)) for dim, each in unit.items()}
    window = draw(st.sampled_from([1, 3, 5]))
    edge = draw(st.integers(1, 6)) * 16 if tiles else draw(st.integers(window, 90))
    direction = draw(st.sampled_from(["fwd", "dgrad", "wgrad"]))
    stride = 1 if tiles else draw(st.integers(1, 2))
    window_dims = {"h": edge, "w": edge, "r": window, "s": window, "pad": window // 2, "stride": stride}
    return {**sizes, **window_dims, "groups": 1, "direction": direction}


def columns(*table: Mapping[str, int | str]) -> dict[str, Column]:
    return {dim: np.array([row[dim] for row in table]) for dim in KINDS["conv2d"].dims}


def estimate(
    device: Device,
    *table: Mapping[str, int | str],
    dtype: DType = "f32",
    context: ExecutionContext = GRAPH,
) -> Estimate:
    return MODEL.estimate(
        Launches(device, dtype, context, columns(*table), MODEL.coefficients(device, dtype))
    )


def algorithm(device: Device, dtype: DType = "f32", **dims: int | str) -> tuple[str, float]:
    dims_of_one = columns({**ROW, **dims})
    names, workspace = chosen_algorithms(device, dtype, dims_of_one, MODEL.coefficients(device, dtype))
    return str(names[0]), float(workspace[0])


def spec(value: float) -> Quantity:
    return Quantity(value=value, kind="spec", source=Source(title="a test", date=date(2026, 1, 1)))


def faster(device: Device, peak: float, bandwidth: float) -> Device:
    """Return the device with its peaks and its bandwidth multiplied."""
    assert device.memory_bandwidth_bytes_per_s
    vector, matrix = device.vector_peak_flops_per_s, device.matrix_peak_flops_per_s
    return replace(
        device,
        vector_peak_flops_per_s={name: spec(peak * each.value) for name, each in vector.items()},
        matrix_peak_flops_per_s={name: spec(peak * each.value) for name, each in matrix.items()},
        memory_bandwidth_bytes_per_s=spec(bandwidth * device.memory_bandwidth_bytes_per_s.value),
    )


def test_the_counts_are_those_of_the_definition() -> None:
    counts = MODEL.counts("f32", columns({**ROW, "n": 2, "c": 3, "h": 8, "w": 10, "o": 5}))
    assert counts.contraction_flops.tolist() == [2 * 2 * 5 * 8 * 10 * 3 * 9]
    assert counts.bytes_read.tolist() == [4 * (2 * 3 * 80 + 5 * 3 * 9)]
    assert counts.bytes_written.tolist() == [4 * 2 * 5 * 80]


def test_a_gradient_writes_what_it_is_the_gradient_of() -> None:
    row = {**ROW, "n": 2, "c": 4, "h": 8, "w": 8, "o": 6, "groups": 2}
    images, filters, outputs = 2 * 4 * 64, 6 * 2 * 9, 2 * 6 * 64
    counts = MODEL.counts("bf16", columns(*({**row, "direction": each} for each in ("dgrad", "wgrad"))))
    assert counts.contraction_flops.tolist() == [2 * 2 * 6 * 64 * 2 * 9] * 2
    assert counts.bytes_written.tolist() == [2 * images, 2 * filters]
    assert counts.bytes_read.tolist() == [2 * (filters + outputs), 2 * (images + outputs)]


def test_a_stride_skips_pixels_that_no_window_reaches() -> None:
    shape = ConvShape.of(columns({**ROW, "r": 1, "s": 1, "stride": 2, "pad": 0}))
    assert (shape.p[0], shape.q[0]) == (28, 28)
    assert shape.input_elements[0] == 16 * 64 * 28 * 28


def test_each_direction_is_its_product() -> None:
    row = {**ROW, "n": 2, "c": 3, "h": 8, "w": 8, "o": 5, "stride": 2}
    shape = ConvShape.of(columns(*({**row, "direction": each} for each in ("fwd", "dgrad", "wgrad"))))
    places, window = 2 * 4 * 4, 3 * 9
    assert [each.tolist() for each in shape.product] == [
        [places, 2 * 64, 5],
        [5, 3, window],
        [window, 5 * 9, places],
    ]


def test_a_stride_has_zeros_to_skip_in_windows_of_several_taps() -> None:
    row = {**ROW, "stride": 2, "direction": "dgrad"}
    shape = ConvShape.of(columns(row, {**row, "r": 1, "s": 1, "pad": 0}, {**row, "direction": "fwd"}))
    assert shape.zeros_skipped.tolist() == [2, 1, 1]


def test_an_atomic_gemm_adds_each_element_of_its_product() -> None:
    constants = {**BARE, "adding_slowdown": 1.5}
    unit = conv_unit(V100, "f32", constants)
    # [40 x 16 x 16, o] @ [o, 128]: a tile of 128 x 128 for each of 80 SMs.
    row = {**ROW, "n": 40, "c": 128, "h": 31, "w": 31, "o": 256, "r": 1, "s": 1, "pad": 0, "stride": 2}
    plan = atomic_gemm(ConvShape.of(columns({**row, "direction": "dgrad"}, row)), unit, constants)
    product_s = 1.5 * 128 * 128 * 256 / unit.macs_per_cycle / unit.boost_hz
    adds_s = 128 * 128 / (ADDS_PER_CYCLE * unit.boost_hz)
    assert plan.busy_s == pytest.approx([product_s + adds_s, np.inf])


def test_a_gradient_of_filters_is_shared_out_in_parts_of_512() -> None:
    constants = {**BARE, "adding_slowdown": 1.5, "latency_outputs": 128.0 * 64}
    unit = conv_unit(V100, "f32", constants)
    # [128, 160 x 16 x 16] @ [160 x 16 x 16, 128] in 80 parts, one for each SM.
    row = {**ROW, "n": 160, "c": 128, "h": 16, "w": 16, "o": 128, "r": 1, "s": 1, "pad": 0}
    plan = implicit_gemm(ConvShape.of(columns({**row, "direction": "wgrad"})), unit, constants)
    outputs = 128 * 128 + 128 * 64
    assert plan.busy_s == pytest.approx([1.5 * outputs * 512 / unit.macs_per_cycle / unit.boost_hz])


def test_a_fused_winograd_takes_whole_waves_of_32_channels_of_8_by_16_pixels() -> None:
    constants = {**MODEL.coefficients(V100, "f32"), "power_fraction": 2.0}
    unit = conv_unit(V100, "f32", constants)
    row = {**ROW, "c": 512, "h": 8, "w": 16, "o": 64}
    # Two blocks an image on 80 SMs: 40 images are one wave.
    shape = ConvShape.of(columns(*({**row, "n": n} for n in (39, 40, 41, 80, 81))))
    plan = fused_winograd(shape, unit, constants)
    assert plan.memory_s == pytest.approx(25 * 512 * 64 * 4 / (900e9 * constants["memory_fraction"]))
    channels = 512 + constants["winograd_prologue_channels"]
    macs_per_s = 14e12 / 2 / 80 / constants["winograd_cycles_per_step"]
    wave_s = channels * 16 * 32 * 32 / macs_per_s
    assert plan.busy_s - plan.memory_s == pytest.approx(wave_s * np.array([1, 1, 2, 2, 3]))


def test_pascal_puts_two_images_in_a_block() -> None:
    device = DEVICES["p100-pcie"]
    shape = ConvShape.of(columns({**ROW, "n": 55, "h": 8, "w": 8}, {**ROW, "n": 56, "h": 8, "w": 8}))
    constants = {**MODEL.coefficients(device, "f32"), "memory_fraction": 1e9, "power_fraction": 2.0}
    odd, even = fused_winograd(shape, conv_unit(device, "f32", constants), constants).busy_s
    assert odd == pytest.approx(2 * even)


def test_kepler_has_no_fused_winograd() -> None:
    kepler, maxwell = load_device("k80"), load_device("m60")
    assert algorithm(maxwell, n=2, c=256)[0] == "winograd"
    assert algorithm(kepler, n=2, c=256)[0] == "implicit_gemm"


def test_a_long_kernel_falls_to_the_clock_of_the_power_limit() -> None:
    unit = conv_unit(DEVICES["t4"], "f32", MODEL.coefficients(DEVICES["t4"], "f32"))
    assert unit.sustained_fraction < 1
    short, long = 1e-6 * unit.boost_hz, 1.0 * unit.boost_hz
    assert unit.busy_s(np.array([short]))[0] == pytest.approx(1e-6, rel=1e-2)
    assert unit.busy_s(np.array([long]))[0] == pytest.approx(1 / unit.sustained_fraction, rel=1e-2)


def test_in_a_program_the_clock_has_settled_before_a_kernel_starts() -> None:
    constants = MODEL.coefficients(DEVICES["t4"], "f32")
    unit = conv_unit(DEVICES["t4"], "f32", constants, settled=True)
    assert unit.busy_s(np.array([1e-6 * unit.boost_hz]))[0] == pytest.approx(1e-6 / unit.sustained_fraction)
    program = estimate(DEVICES["t4"], ROW, context=ExecutionContext(host_overhead=False)).seconds
    assert program > estimate(DEVICES["t4"], ROW).seconds


def test_the_algorithm_follows_the_shape() -> None:
    assert algorithm(V100, n=2, c=256)[0] == "winograd"
    assert algorithm(V100, n=64, c=512, h=8, w=8, o=512)[0] == "winograd_nonfused"
    assert algorithm(V100, c=3)[0] == "implicit_gemm"
    assert algorithm(V100, stride=2)[0] == "implicit_gemm"
    assert algorithm(V100, stride=2, direction="dgrad")[0] == "algo_0"
    assert algorithm(V100, groups=64, o=64)[0] == "direct"
    assert algorithm(V100, n=64, r=11, s=11, pad=5)[0] == "fft_tiling"
    assert algorithm(DEVICES["a100-80gb-pcie"], "bf16")[0] == "implicit_gemm"


def test_the_workspace_is_that_of_the_transformed_tensors() -> None:
    places = 64 * 2 * 2
    _, workspace = algorithm(V100, n=64, c=512, h=8, w=8, o=512)
    assert workspace == 4 * 36 * (places * (512 + 512) + 512 * 512)
    assert algorithm(V100, stride=2)[1] == 8 * 64 * 9
    assert algorithm(V100, groups=64, o=64)[1] == 0


def test_an_eager_call_adds_what_the_host_takes() -> None:
    graph, eager = (estimate(V100, ROW, context=context).seconds for context in (GRAPH, EAGER))
    bare = estimate(V100, ROW, context=ExecutionContext(mode="eager", host_overhead=False)).seconds
    assert eager - graph == pytest.approx(MODEL.coefficients(V100, "f32")["host_s"])
    assert bare == pytest.approx(graph)


def test_the_limiter_says_what_takes_longest() -> None:
    small = {**ROW, "n": 1, "c": 4, "h": 8, "w": 8, "r": 1, "s": 1, "pad": 0}
    thin, deep = {**ROW, "n": 64, "c": 1, "r": 1, "s": 1, "pad": 0}, {**ROW, "c": 512}
    assert estimate(V100, small, thin, deep).limiter.tolist() == ["launch", "memory", "compute"]
    assert estimate(V100, small, context=EAGER).limiter.tolist() == ["host"]


def test_half_precision_runs_on_lanes_where_there_is_no_matrix_unit() -> None:
    p100 = DEVICES["p100-pcie"]
    assert estimate(p100, ROW, dtype="f16").seconds < estimate(p100, ROW).seconds


def test_a_type_without_a_unit_is_refused() -> None:
    with pytest.raises(DeviceError, match="convolutions in i8"):
        estimate(V100, ROW, dtype="i8")


@given(devices, dtypes, rows())
def test_nothing_is_below_the_floor(device: Device, dtype: DType, row: Mapping[str, int | str]) -> None:
    priced = estimate(device, row, dtype=dtype)
    assert np.isfinite(priced.seconds).all()
    assert (priced.seconds >= priced.floor_s).all()


@given(devices, dtypes, rows(), st.floats(1, 4), st.floats(1, 4))
def test_a_faster_device_is_never_slower(
    device: Device, dtype: DType, row: Mapping[str, int | str], peak: float, bandwidth: float
) -> None:
    quick = estimate(faster(device, peak, bandwidth), row, dtype=dtype)
    assert quick.seconds[0] <= estimate(device, row, dtype=dtype).seconds[0] * (1 + 1e-9)


@given(devices, dtypes, rows(tiles=True), st.sampled_from(["n", "c", "o"]), st.integers(2, 4))
def test_more_whole_tiles_never_take_less(
    device: Device, dtype: DType, row: dict[str, int], dim: str, times: int
) -> None:
    # The blocks that share the sums of a gradient of filters may share longer ones more evenly.
    dim = "o" if row["direction"] == "wgrad" else dim
    grown = {**row, dim: row[dim] * times}
    small, large = estimate(device, row, grown, dtype=dtype).seconds
    assert large >= small * (1 - 1e-9)


@pytest.mark.parametrize(
    ("source", "name", "most"),
    [("P100", "p100-pcie", 0.05), ("V100", "v100-pcie-32gb", 0.06), ("T4", "t4", 0.075)],
)
def test_forward_convolutions_match_the_open_measurements(source: str, name: str, most: float) -> None:
    """The host's share grows while they are measured; its running median is taken out."""
    path = MEASURED / "neusight/conv_fp32.csv"
    if not path.exists():
        pytest.skip(f"the open measurements are not at {MEASURED}")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        table = [row for row in csv.DictReader(stream) if row["device"] == source]
    fields = {"n": "batch", "c": "cin", "h": "hw", "w": "hw", "o": "cout"}
    measured_s = np.array([float(row["latency_ms"]) for row in table]) * 1e-3
    busy_s = estimate(
        DEVICES[name], *({**ROW, **{dim: int(row[field]) for dim, field in fields.items()}} for row in table)
    ).seconds
    runs = np.array_split(measured_s - busy_s, 20)
    host_s = np.concatenate([np.full(len(run), np.median(run)) for run in runs])
    assert np.mean(abs(busy_s + host_s - measured_s) / measured_s) < most
