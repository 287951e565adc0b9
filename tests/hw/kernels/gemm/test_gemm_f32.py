"""Products on vector lanes: hand arithmetic, laws, dispatch by type, and the open measurements."""

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Estimate, Launches
from steelyard.hw.kernels.gemm.model import Gemm
from steelyard.hw.kernels.gemm.simt import SimtGemm

Kind = Literal["gemm", "bmm"]

GRAPH = ExecutionContext(mode="graph")
EAGER = ExecutionContext(mode="eager")
NAMES = ("p4", "p100-pcie", "v100-pcie-32gb", "t4", "a100-80gb-pcie", "l4", "h100-sxm", "mi100")
MEASURED = Path(os.environ["STEELYARD_MEASURED"])
NEUSIGHT = {
    "P4": "p4",
    "P100": "p100-pcie",
    "V100": "v100-pcie-32gb",
    "T4": "t4",
    "A100-40-PCIe": "a100-40gb-pcie",
}

devices = st.sampled_from([load_device(name) for name in NAMES])
kinds: st.SearchStrategy[Kind] = st.sampled_from(["gemm", "bmm"])
sizes = st.integers(1, 5000)


def estimate(kind: Kind, device: Device, context: ExecutionContext = GRAPH, /, **dims: int) -> Estimate:
    columns = {name: np.array([dims.get(name, 1)]) for name in "bmnk"}
    model = SimtGemm(kind)
    return model.estimate(Launches(device, "f32", context, columns, model.coefficients(device, "f32")))


def seconds(kind: Kind, device: Device, context: ExecutionContext = GRAPH, /, **dims: int) -> float:
    return float(estimate(kind, device, context, **dims).seconds[0])


def test_counts_read_a_shared_weight_once() -> None:
    dims = {name: np.array([size]) for name, size in {"b": 3, "m": 5, "n": 7, "k": 11}.items()}
    counts = SimtGemm("gemm").counts("f32", dims)
    assert counts.contraction_flops == 2 * 15 * 7 * 11
    assert counts.bytes_read == 4 * (15 * 11 + 11 * 7)
    assert counts.bytes_written == 4 * 15 * 7


def test_counts_read_every_operand_of_a_batch() -> None:
    dims = {name: np.array([size]) for name, size in {"b": 3, "m": 5, "n": 7, "k": 11}.items()}
    counts = SimtGemm("bmm").counts("f32", dims)
    assert counts.contraction_flops == 2 * 3 * 5 * 7 * 11
    assert counts.bytes_read == 4 * 3 * (5 * 11 + 11 * 7)
    assert counts.bytes_written == 4 * 3 * 5 * 7


def test_a_batch_on_a100_takes_the_waves_of_its_tiles() -> None:
    # 108 SMs, one tile of 128 x 128 each: 864 of them are 8 waves.
    device = load_device("a100-80gb-sxm")
    c = SimtGemm("bmm").coefficients(device, "f32")
    cycles = 8 * 128 * 128 / 64 * (1024 + c["prologue_steps"])
    cycles *= c["cycles_per_step"] + c["operand_load_cycles"] * 2 / 128
    peak = device.vector_peak_flops_per_s["f32"].value
    by_hand_s = cycles * (2 * 64 * 108 / peak) + c["launch_s"]
    found_s = seconds("bmm", device, b=864, m=128, n=128, k=1024)
    assert found_s == pytest.approx(by_hand_s, rel=0.03)  # the rest is memory that does not quite overlap


def test_one_tile_more_than_a_wave_is_another_wave() -> None:
    device = load_device("a100-80gb-pcie")
    full = seconds("bmm", device, b=108, m=128, n=128, k=4096)
    assert seconds("bmm", device, b=109, m=128, n=128, k=4096) > 1.6 * full
    assert seconds("bmm", device, b=216, m=128, n=128, k=4096) < 2.2 * full


def test_few_tiles_with_long_sums_are_split() -> None:
    device = load_device("v100-pcie-32gb")
    one_block_s = 2 * 128 * 128 * 65536 / (device.vector_peak_flops_per_s["f32"].value / 80)
    assert seconds("gemm", device, m=128, n=128, k=65536) < one_block_s / 8


def test_the_host_is_the_limit_of_small_eager_products() -> None:
    device = load_device("a100-80gb-pcie")
    small = estimate("gemm", device, EAGER, m=8, n=8, k=8)
    assert small.limiter[0] == "host"
    without_host = replace(EAGER, host_overhead=False)
    assert seconds("gemm", device, without_host, m=8, n=8, k=8) < small.seconds[0] / 3


@pytest.mark.parametrize(
    ("kind", "dims", "limiter"),
    [
        ("gemm", {"m": 4096, "n": 4096, "k": 4096}, "compute"),
        ("bmm", {"b": 512, "m": 1024, "n": 1024, "k": 4}, "memory"),
        ("gemm", {"m": 2, "n": 2, "k": 2}, "launch"),
    ],
)
def test_what_limits_a_product(kind: Kind, dims: Mapping[str, int], limiter: str) -> None:
    assert estimate(kind, load_device("v100-pcie-32gb"), **dims).limiter[0] == limiter


def test_long_products_run_at_the_clock_that_the_power_limit_leaves() -> None:
    t4 = load_device("t4")
    assert t4.tdp_w is not None
    unlimited = replace(t4, tdp_w=replace(t4.tdp_w, value=700.0))
    large = {"m": 8192, "n": 8192, "k": 8192}
    assert seconds("gemm", t4, **large) > 1.5 * seconds("gemm", unlimited, **large)


@pytest.mark.parametrize(("board", "fanned"), [("l4", "rtx-4090"), ("t4", "rtx-2080-ti")])
def test_boards_on_slot_power_get_less_of_their_limit_in_a_sweep(board: str, fanned: str) -> None:
    model = SimtGemm("gemm")
    hot, cool = (model.coefficients(load_device(name), "f32")["power_fraction"] for name in (board, fanned))
    assert hot < cool
    large = {"m": 4096, "n": 4096, "k": 4096}
    in_a_model = replace(GRAPH, host_overhead=False)
    assert seconds("gemm", load_device(board), in_a_model, **large) < seconds(
        "gemm", load_device(board), **large
    )


def test_lanes_that_share_their_loads_are_slower_the_more_so_in_small_tiles() -> None:
    h100 = load_device("h100-sxm")
    assert h100.lanes_per_unit
    fed = replace(h100, lanes_per_unit=replace(h100.lanes_per_unit, value=64))
    small = {"m": 64, "n": 64 * 132, "k": 4096}  # a tile of 64 x 64 for each SM
    large = {"m": 8192, "n": 256 * 132, "k": 4096}
    slower = [seconds("gemm", h100, **dims) / seconds("gemm", fed, **dims) for dims in (small, large)]
    assert slower[0] > 1.02 * slower[1] > 1.04


def test_lanes_do_one_multiply_add_a_cycle_at_most() -> None:
    a100, model = load_device("a100-80gb-sxm"), SimtGemm("bmm")
    dims = {"b": np.array([864]), "m": np.array([128]), "n": np.array([128]), "k": np.array([1024])}
    c = {**model.coefficients(a100, "f32"), "operand_load_cycles": 1e-12}
    one, less = (
        model.estimate(Launches(a100, "f32", GRAPH, dims, {**c, "cycles_per_step": cycles})).seconds[0]
        for cycles in (1.0, 0.5)
    )
    assert less == pytest.approx(one, rel=1e-9)


def test_a_tile_alone_on_its_sm_waits_in_each_step() -> None:
    a100, model = load_device("a100-80gb-sxm"), SimtGemm("bmm")
    c = model.coefficients(a100, "f32")
    dims = {"b": np.array([60]), "m": np.array([128]), "n": np.array([128]), "k": np.array([1024])}
    waiting, patient = (
        model.estimate(Launches(a100, "f32", GRAPH, dims, each)).seconds[0]
        for each in (c, {**c, "wait_cycles": 1e-9})
    )
    steps = (1024 + c["prologue_steps"]) / 8
    assert waiting - patient == pytest.approx(steps * c["wait_cycles"] / 1.41e9, rel=0.05)


@pytest.mark.parametrize("unaligned", [{"k": 511}, {"n": 511}])
def test_rows_that_are_no_multiple_of_16_bytes_cost_more(unaligned: Mapping[str, int]) -> None:
    v100 = load_device("v100-pcie-32gb")
    aligned = {"b": 512, "m": 512, "n": 512, "k": 512}
    assert seconds("bmm", v100, **{**aligned, **unaligned}) > seconds("bmm", v100, **aligned)


def test_few_columns_stream_rows_longer_than_a_page_32_bytes_at_a_time() -> None:
    v100, model = load_device("v100-pcie-32gb"), SimtGemm("bmm")
    c = model.coefficients(v100, "f32")
    assert v100.memory_bandwidth_bytes_per_s is not None
    far_apart = 4.096**2 / (1 + 4.096**2)  # rows of 1024 f32 in pages of 1 kB
    along_k = (1 - far_apart) / c["memory_fraction"] + far_apart / c["operand_fraction"]
    moved = 512 * 4 * (1024 * 1024 * along_k + 2 * 16 * 1024 / c["memory_fraction"])
    by_hand_s = moved / v100.memory_bandwidth_bytes_per_s.value + c["launch_s"]
    found_s = seconds("bmm", v100, b=512, m=1024, n=16, k=1024)
    assert found_s == pytest.approx(by_hand_s, rel=0.1)  # the rest is arithmetic that does not quite overlap


@pytest.mark.parametrize("near", [{"m": 1024, "n": 16, "k": 32}, {"m": 16, "n": 1024, "k": 1024}])
def test_short_rows_and_rows_along_n_stream_faster(near: Mapping[str, int]) -> None:
    rates = [
        512
        * (each["m"] * each["k"] + each["k"] * each["n"] + each["m"] * each["n"])
        / seconds("bmm", load_device("v100-pcie-32gb"), b=512, **each)
        for each in (near, {"m": 1024, "n": 16, "k": 1024})
    ]
    assert rates[0] > 1.3 * rates[1]


def test_operands_on_more_pages_than_the_tlb_holds_slow_p4_down() -> None:
    p4 = load_device("p4")
    flops_per_s = [2.0 * 2048 * 2048 * k / seconds("gemm", p4, m=2048, n=2048, k=k) for k in (1024, 32768)]
    assert flops_per_s[0] > 1.7 * flops_per_s[1]


@given(kinds, devices, sizes, sizes, sizes, sizes)
def test_nothing_undercuts_the_floor(kind: Kind, device: Device, b: int, m: int, n: int, k: int) -> None:
    found = estimate(kind, device, b=b, m=m, n=n, k=k)
    assert found.seconds[0] >= found.floor_s[0]
    unit = {**device.vector_peak_flops_per_s, **device.matrix_peak_flops_per_s}["f32"]
    assert found.floor_s[0] >= 2.0 * b * m * n * k / unit.value * (1 - 1e-9)


@given(kinds, devices, sizes, sizes, sizes, st.floats(1, 4))
def test_a_higher_peak_is_never_slower(
    kind: Kind, device: Device, m: int, n: int, k: int, more: float
) -> None:
    peaks = {
        dtype: replace(peak, value=peak.value * more)
        for dtype, peak in device.vector_peak_flops_per_s.items()
    }
    higher = replace(device, vector_peak_flops_per_s=peaks)
    dims = {"b": 3, "m": m, "n": n, "k": k}
    assert seconds(kind, higher, **dims) <= seconds(kind, device, **dims) * (1 + 1e-9)


@given(kinds, devices, sizes, sizes, sizes, st.floats(1, 4))
def test_more_bandwidth_is_never_slower(
    kind: Kind, device: Device, m: int, n: int, k: int, more: float
) -> None:
    bandwidth = device.memory_bandwidth_bytes_per_s
    assert bandwidth is not None
    faster = replace(device, memory_bandwidth_bytes_per_s=replace(bandwidth, value=bandwidth.value * more))
    dims = {"b": 3, "m": m, "n": n, "k": k}
    assert seconds(kind, faster, **dims) <= seconds(kind, device, **dims) * (1 + 1e-9)


@given(kinds, devices, st.sampled_from("bmnk"), st.tuples(*[st.integers(1, 30)] * 4))
def test_growing_by_whole_tiles_never_saves_time(
    kind: Kind, device: Device, grown: str, counts: tuple[int, ...]
) -> None:
    units = {"b": 1, "m": 128, "n": 256, "k": 128}
    dims = {name: units[name] * count for name, count in zip("bmnk", counts, strict=True)}
    larger = {**dims, grown: dims[grown] + units[grown]}
    assert seconds(kind, device, **dims) <= seconds(kind, device, **larger) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("name", "dtype", "on_tensor_cores"),
    [
        ("a100-80gb-pcie", "f32", False),
        ("a100-80gb-pcie", "tf32", True),
        ("a100-80gb-pcie", "bf16", True),
        ("v100-pcie-32gb", "tf32", False),
        ("p100-pcie", "f16", False),
    ],
)
def test_the_type_decides_the_unit(name: str, dtype: DType, on_tensor_cores: bool) -> None:
    device = load_device(name)
    lanes = SimtGemm("gemm").coefficients(load_device(name), "f32")
    assert (Gemm("gemm").coefficients(device, dtype) != lanes) == on_tensor_cores


def test_what_the_device_cannot_multiply_is_an_error() -> None:
    with pytest.raises(DeviceError, match="f8 on 'p100-pcie'"):
        Gemm("gemm").coefficients(load_device("p100-pcie"), "f8")


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        ("gemm", {"P4": 28, "P100": 12, "V100": 8, "T4": 13, "A100-40-PCIe": 8}),
        ("bmm", {"P4": 11, "P100": 5, "V100": 12, "T4": 17, "A100-40-PCIe": 5}),
    ],
)
def test_the_open_measurements(kind: Kind, limits: Mapping[str, float]) -> None:
    path = MEASURED / f"neusight/train_{'linear' if kind == 'gemm' else 'bmm'}.csv"
    if not path.exists():
        pytest.skip(f"the open measurements are not at {MEASURED}; set STEELYARD_MEASURED")
    with path.open(newline="") as stream:
        table = [row for row in csv.DictReader(stream) if row["device"] in NEUSIGHT]
    for short, limit in limits.items():
        rows = [row for row in table if row["device"] == short]
        # What NeuSight calls N is reduced.
        dims = {
            name: np.array([float(row.get(column, 1)) for row in rows])
            for name, column in {"b": "B", "m": "M", "n": "K", "k": "N"}.items()
        }
        measured_s = np.array([float(row["latency_ms"]) for row in rows]) * 1e-3
        device, model = load_device(NEUSIGHT[short]), Gemm(kind)
        found = model.estimate(Launches(device, "f32", EAGER, dims, model.coefficients(device, "f32")))
        assert 100 * np.mean(np.abs(found.seconds / measured_s - 1)) < limit, short
