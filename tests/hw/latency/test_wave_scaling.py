"""Wave scaling against hand arithmetic."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.common.launch_grid import Grid, blocks_per_wave, work_grid
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.wave_scaling import MeasuredOp, memory_exponent, transfer

SOURCE = Source(title="hand arithmetic", date=date(2026, 11, 24))


def given(value: float) -> Quantity:
    return Quantity(value=value, kind="spec", source=SOURCE)


def gpu(name: str, units: int, flops_per_s: float, bytes_per_s: float):
    """A GPU whose memory sustains its pin rate and whose launches cost 10 us."""
    base = load_device("v100-pcie-32gb")
    (sustained,) = base.sustained or (None,)
    plain = replace(
        sustained or base.sustained_with(None),
        memory_bandwidth_bytes_per_s=Rate(value=bytes_per_s, kind="measured", source=SOURCE),
        launch_overhead_s=given(10e-6),
    )
    return replace(
        base,
        name=name,
        compute_units=given(units),
        vector_peak_flops_per_s={"f32": given(flops_per_s)},
        matrix_peak_flops_per_s={},
        memory_bandwidth_bytes_per_s=given(bytes_per_s),
        tdp_w=None,
        sustained=(plain,),
        fitted={},
    )


SLOW = gpu("slow", units=10, flops_per_s=1e12, bytes_per_s=1e11)
FAST = gpu("fast", units=40, flops_per_s=8e12, bytes_per_s=4e11)


def op(flops: int, read: int, written: int, measured_s: float) -> MeasuredOp:
    work = KernelWork(
        kind="pointwise", dtype="f32", pointwise_flops=flops, bytes_read=read, bytes_written=written
    )
    return MeasuredOp(work, None, {}, measured_s)


def test_the_exponent_is_habitats():
    # FAST has 20 FLOPs a byte.
    assert memory_exponent(op(10**9, 10**9, 0, 1.0).work, FAST) == pytest.approx(1 - 0.5 * 1 / 20)
    assert memory_exponent(op(20 * 10**9, 10**9, 0, 1.0).work, FAST) == pytest.approx(0.5)
    assert memory_exponent(op(80 * 10**9, 10**9, 0, 1.0).work, FAST) == pytest.approx(0.5 * 20 / 80)
    assert memory_exponent(op(0, 10**9, 0, 1.0).work, FAST) == 1.0
    assert memory_exponent(op(10**9, 0, 0, 1.0).work, FAST) == 0.0


def test_a_copy_scales_with_bandwidth_and_its_overhead_does_not():
    found = transfer(op(0, 10**9, 10**9, 20e-3), SLOW, FAST)
    assert found.seconds == pytest.approx(10e-6 + (20e-3 - 10e-6) / 4)
    assert found.method == "waves"
    assert transfer(op(0, 10**9, 10**9, 20e-3), SLOW, FAST, overhead_s=0.0).seconds == pytest.approx(5e-3)


def test_a_large_grid_scales_with_all_units():
    work = op(20 * 10**9, 5 * 10**8, 5 * 10**8, 1.0)
    found = transfer(work, SLOW, FAST, overhead_s=0.0)
    assert found.memory_exponent == pytest.approx(0.5)
    assert found.seconds == pytest.approx((1 / 4) ** 0.5 * (1 / 8) ** 0.5)


def test_a_grid_of_less_than_a_wave_scales_with_one_unit():
    # 4,096 bytes are 1,024 elements, two blocks of 512; one unit of FAST has twice the FLOP/s of one of SLOW.
    small = op(20 * 8192, 4096, 4096, 1.0)
    found = transfer(small, SLOW, FAST, overhead_s=0.0)
    assert found.memory_exponent == pytest.approx(0.5)
    assert found.seconds == pytest.approx((1 / 4) ** 0.5 * (1 / 2) ** 0.5)


def test_unknown_work_scales_with_bandwidth():
    found = transfer(MeasuredOp(None, None, {}, 8e-3), SLOW, FAST, overhead_s=0.0)
    assert found.seconds == pytest.approx(2e-3)


def test_what_is_all_overhead_is_copied():
    found = transfer(op(10, 10, 10, 5e-6), SLOW, FAST)
    assert (found.seconds, found.method) == (5e-6, "copied")


def test_there_and_back_is_the_same_time():
    copy = op(0, 10**9, 10**9, 20e-3)
    there = transfer(copy, SLOW, FAST).seconds
    assert transfer(replace(copy, measured_s=there), FAST, SLOW).seconds == pytest.approx(20e-3)


def test_a_product_goes_by_the_ratio_of_the_models():
    dims = {"b": 1, "m": 1024, "n": 1024, "k": 1024}
    work = KernelWork(
        kind="contraction",
        dtype="f32",
        contraction_flops=2 * 1024**3,
        bytes_read=8 * 1024**2,
        bytes_written=4 * 1024**2,
    )
    t4, v100 = load_device("t4"), load_device("v100-pcie-32gb")
    found = transfer(MeasuredOp(work, "gemm", dims, 1e-3), t4, v100, overhead_s=0.0)
    context = ExecutionContext(host_overhead=False)
    queries = KernelBatch("gemm", "f32", {dim: np.array([size]) for dim, size in dims.items()})
    of_t4, of_v100 = (Ladder(each, context, measured=False).price(queries).value_s[0] for each in (t4, v100))
    assert found.method == "models"
    assert found.seconds == pytest.approx(1e-3 * of_v100 / of_t4)


def test_a_cpu_has_no_waves():
    cpu = load_device("cpu")
    found = transfer(op(20 * 8192, 4096, 4096, 1.0), cpu, cpu, overhead_s=0.0)
    assert found.seconds == pytest.approx(1.0)


def test_grids_by_hand():
    work = op(0, 4096, 4 * 5000, 1.0).work
    assert work is not None
    assert work_grid(work).blocks == 10  # ceil(5000 / 512)

    def grid(kind: str, dims: dict[str, int | str]) -> Grid:
        made = KINDS[kind].grid
        assert made
        return made(dims)

    assert grid("gemm", {"b": 2, "m": 65, "n": 300, "k": 9}).blocks == 2 * 3
    assert grid("bmm", {"b": 2, "m": 65, "n": 300, "k": 9}).blocks == 2 * 1 * 3
    assert grid("softmax", {"rows": 77, "cols": 512}).blocks == 77
    # 128 threads of 32 registers: 2,048 threads an SM are 16 blocks of them.
    assert blocks_per_wave(SLOW, work_grid(work)) == 10 * 16
