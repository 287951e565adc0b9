"""Products on tensor cores: hand arithmetic, laws, and the open measurements."""

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
from steelyard.hw.kernels.gemm.shape import Products
from steelyard.hw.kernels.gemm.tensor_core import TensorGemm
from steelyard.hw.kernels.gemm.tensor_core_tiles import TensorCores, on_chip_s
from steelyard.hw.kernels.gemm.tensor_core_traffic import memory_traffic

GEMM = TensorGemm("gemm")
GRAPH = ExecutionContext(mode="graph")
DEVICES = {name: load_device(name) for name in ("a100-80gb-sxm", "h100-sxm", "l40s", "b200-sxm")}
MEASURED = Path(os.environ["STEELYARD_MEASURED"])

devices = st.sampled_from(sorted(DEVICES)).map(DEVICES.__getitem__)
sizes = st.integers(1, 70_000)
shapes = st.tuples(st.integers(1, 4), sizes, sizes, sizes)
factors = st.floats(1, 4)


def columns(*rows: tuple[int, int, int, int]) -> Mapping[str, Column]:
    """Return rows of b, m, n, k as columns."""
    return dict(zip("bmnk", np.array(rows, dtype=np.int64).T, strict=True))


def estimate(
    device: Device,
    *rows: tuple[int, int, int, int],
    dtype: DType = "bf16",
    context: ExecutionContext = GRAPH,
    model: TensorGemm = GEMM,
) -> Estimate:
    """Price rows of b, m, n, k with the constants of the device's family."""
    return model.estimate(Launches(device, dtype, context, columns(*rows), model.coefficients(device, dtype)))


def spec(value: float) -> Quantity:
    return Quantity(value=value, kind="spec", source=Source(title="a test", date=date(2026, 1, 1)))


def faster(device: Device, peak: float, bandwidth: float) -> Device:
    """Return the device with its bf16 peak and its bandwidth multiplied."""
    assert device.memory_bandwidth_bytes_per_s
    return replace(
        device,
        matrix_peak_flops_per_s={"bf16": spec(peak * device.matrix_peak_flops_per_s["bf16"].value)},
        memory_bandwidth_bytes_per_s=spec(bandwidth * device.memory_bandwidth_bytes_per_s.value),
    )


def test_a_gemm_reads_its_weight_once_for_all_rows() -> None:
    counts = GEMM.counts("bf16", columns((2, 3, 5, 7)))
    assert counts.contraction_flops.tolist() == [2 * 6 * 5 * 7]
    assert counts.bytes_read.tolist() == [2 * (6 * 7 + 5 * 7)]
    assert counts.bytes_written.tolist() == [2 * 6 * 5]


def test_a_batch_has_operands_of_its_own() -> None:
    counts = TensorGemm("bmm").counts("f8", columns((2, 3, 5, 7)))
    assert counts.contraction_flops.tolist() == [2 * 2 * 3 * 5 * 7]
    assert counts.bytes_read.tolist() == [2 * (3 * 7 + 5 * 7)]
    assert counts.bytes_written.tolist() == [2 * 2 * 3 * 5]  # f8 products are written in 16 bits


def test_a_tile_of_one_wave_takes_its_steps_and_its_store() -> None:
    # One SM of 1024 * 1e6 MACs per second, so that a byte per kilomac is 1e6 bytes per second.
    cores = TensorCores(sms=1, macs_per_s=1024e6, half_macs_per_s=1024e6, clock_hz=1e9)
    one = np.ones(1)
    shape = Products(one, one * 16, one * 64, one * 64, operand_bytes=2, result_bytes=2, weight=True)
    coefficients = {
        "multiply_fraction": 1.0,
        "fetch_bytes_per_kilomac": 1e9,
        "lone_fetch_bytes_per_kilomac": 80.0,
        "store_bytes_per_kilomac": 2.0,
        "split_cycles": 1e9,
        "unaligned_fraction": 0.5,
    }
    # Two steps of 32 fetch (16 + 64) * 32 * 2 bytes each; 16 * 64 results of 2 bytes are written.
    by_hand_s = 2 * 80 * 64 / 80e6 + 16 * 64 * 2 / 2e6
    assert on_chip_s(shape, cores, coefficients)[0] == pytest.approx(by_hand_s, rel=0.01)
    odd = replace(shape, n=one * 63)
    assert on_chip_s(odd, cores, coefficients)[0] == pytest.approx(2 * by_hand_s, rel=0.01)


def test_clusters_fetch_what_they_share_once() -> None:
    one = np.ones(1)
    shape = Products(one, one * 4096, one * 4096, one * 4096, operand_bytes=2, result_bytes=2, weight=True)
    coefficients = {
        "multiply_fraction": 1e9,
        "fetch_bytes_per_kilomac": 1.0,
        "lone_fetch_bytes_per_kilomac": 1e9,
        "store_bytes_per_kilomac": 1e9,
        "split_cycles": 1e15,
        "unaligned_fraction": 1.0,
    }
    alone = TensorCores(sms=100, macs_per_s=1e12, half_macs_per_s=1e12, clock_hz=1e9)
    pairs = replace(alone, sharers=2)
    assert on_chip_s(shape, alone, coefficients) == pytest.approx(2 * on_chip_s(shape, pairs, coefficients))


def test_latencies_are_cycles() -> None:
    device = DEVICES["h100-sxm"]
    cycles = GEMM.coefficients(device, "bf16")["launch_cycles"]
    smallest_s = estimate(device, (1, 1, 64, 64)).seconds[0]
    assert cycles / 1.83e9 < smallest_s < 1.3 * cycles / 1.83e9


def test_a_long_product_falls_to_the_clock_of_the_power_limit() -> None:
    # 8192^3 on a card of 72 W takes far longer than at its peak; 71 TFLOP/s leave one of 350 W at its boost.
    long = (1, 8192, 8192, 8192)
    flops = 2 * 8192**3
    small, large = load_device("l4"), load_device("rtx-3090")
    assert estimate(small, long).seconds[0] > 1.6 * flops / small.matrix_peak_flops_per_s["bf16"].value
    assert estimate(large, long).seconds[0] < 1.3 * flops / large.matrix_peak_flops_per_s["bf16"].value


def test_a_weight_comes_from_memory_and_what_was_just_written_does_not() -> None:
    one = np.ones(1)
    weight = Products(one, one * 16, one * 4096, one * 4096, operand_bytes=2, result_bytes=2, weight=True)
    cache_bytes = 40e6
    moved_bytes, misses = memory_traffic(weight, cache_bytes)
    fill = (6 * 2 * 4096 * 4096 + 2 * 2 * 16 * 4096) / cache_bytes
    assert misses[0] == pytest.approx(fill**4 / (1 + fill**4))
    assert moved_bytes[0] == pytest.approx(misses[0] * 2 * 4096 * 4096, rel=0.01)
    assert memory_traffic(replace(weight, weight=False), cache_bytes)[0][0] < 0.7 * moved_bytes[0]


@given(devices, shapes)
def test_nothing_undercuts_the_floor(device: Device, shape: tuple[int, int, int, int]) -> None:
    b, m, n, k = shape
    found = estimate(device, shape)
    assert device.l2_bytes
    assert device.memory_bandwidth_bytes_per_s
    unique_bytes = 2 * (b * m * k + n * k + b * m * n)
    by_hand_s = max(
        2 * b * m * n * k / device.matrix_peak_flops_per_s["bf16"].value,
        (unique_bytes - device.l2_bytes.value) / device.memory_bandwidth_bytes_per_s.value,
    )
    assert found.floor_s[0] == pytest.approx(max(by_hand_s, 0))
    assert found.seconds[0] >= found.floor_s[0]
    assert np.isfinite(found.seconds[0])


@given(devices, shapes, factors, factors)
def test_a_device_with_higher_peaks_is_never_slower(
    device: Device, shape: tuple[int, int, int, int], peak: float, bandwidth: float
) -> None:
    before = estimate(device, shape).seconds[0]
    after = estimate(faster(device, peak, bandwidth), shape).seconds[0]
    assert after <= before * (1 + 1e-9)


@given(devices, shapes, st.sampled_from((0, 1, 2, 3)), st.integers(1, 20))
def test_whole_tiles_more_are_never_faster(
    device: Device, shape: tuple[int, int, int, int], dim: int, more: int
) -> None:
    larger = list(shape)
    larger[dim] += more * (256 if dim else 1)
    before, after = estimate(device, shape, (larger[0], larger[1], larger[2], larger[3])).seconds
    assert after >= before * (1 - 1e-9)


def test_a_new_wave_costs_more_than_a_fuller_one() -> None:
    # 108 SMs hold 216 tiles of 128 x 128: 12 x 18 fill a wave, one row of tiles more begins another.
    device = DEVICES["a100-80gb-sxm"]
    full, row_less, row_more = estimate(
        device, (1, 18 * 128, 12 * 128, 4096), (1, 17 * 128, 12 * 128, 4096), (1, 19 * 128, 12 * 128, 4096)
    ).seconds
    assert row_more - full > 2 * (full - row_less)


def test_the_limiter_follows_the_shape() -> None:
    found = estimate(DEVICES["h100-sxm"], (1, 1, 64, 64), (1, 8, 16384, 16384), (1, 8192, 8192, 8192))
    assert found.limiter.tolist() == ["launch", "memory", "compute"]


def test_the_host_hides_a_small_kernel_unless_it_is_left_out() -> None:
    device = DEVICES["h100-sxm"]
    eager = estimate(device, (1, 16, 512, 512), context=ExecutionContext())
    assert eager.limiter.tolist() == ["host"]
    assert eager.seconds[0] == pytest.approx(10e-6)
    alone = estimate(device, (1, 16, 512, 512), context=ExecutionContext(host_overhead=False))
    assert alone.seconds[0] == estimate(device, (1, 16, 512, 512)).seconds[0]


def test_narrower_types_are_faster() -> None:
    device = DEVICES["h100-sxm"]
    shape = (1, 8192, 8192, 8192)
    f8, bf16, tf32 = (estimate(device, shape, dtype=each).seconds[0] for each in ("f8", "bf16", "tf32"))
    assert f8 < 0.6 * bf16 < 0.36 * tf32


def test_a_device_without_the_unit_says_so() -> None:
    with pytest.raises(DeviceError, match="a100-80gb-sxm has no tensor cores for f8"):
        GEMM.coefficients(DEVICES["a100-80gb-sxm"], "f8")
    with pytest.raises(DeviceError, match="a100-80gb-sxm has no tensor cores for i64"):
        GEMM.coefficients(DEVICES["a100-80gb-sxm"], "i64")


@pytest.mark.parametrize(
    ("file", "name", "most"), [("a100_sxm", "a100-80gb-sxm", 0.08), ("h100_sxm", "h100-sxm", 0.065)]
)
def test_the_open_measurements_are_met(file: str, name: str, most: float) -> None:
    path = MEASURED / f"aiconfigurator/gemm_bfloat16_{file}.csv"
    if not path.exists():
        pytest.skip(f"the open measurements are not at {MEASURED}; set STEELYARD_MEASURED")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [
            (1, int(row["m"]), int(row["n"]), int(row["k"]), float(row["latency_ms"]))
            for row in csv.DictReader(stream)
        ]
    measured_s = np.array([row[4] for row in rows]) * 1e-3
    predicted_s = estimate(DEVICES[name], *(row[:4] for row in rows)).seconds
    assert np.mean(np.abs(predicted_s / measured_s - 1)) < most


@pytest.mark.parametrize(("name", "times"), [("rtx-3090", 2), ("a10g", 2), ("a40", 1), ("h100-sxm", 1)])
def test_data_paths_are_not_slowed_where_sums_in_f32_are(name: str, times: int) -> None:
    device = load_device(name)
    cores = TensorCores.of(device, device.matrix_peak_flops_per_s["f16"].value, operand_bytes=2)
    assert cores.half_macs_per_s == pytest.approx(times * cores.macs_per_s, rel=0.01)
