"""Hand arithmetic of a calibrated CPU: packing, rates of single operations, page faults."""

from dataclasses import replace
from datetime import date

import pytest

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork, Rows
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.latency.roofline import Roofline, roofline_latency

SOURCE = Source(title="a test", date=date(2026, 1, 1))
GRAPH = ExecutionContext(mode="graph")


def measured(value: float) -> Quantity:
    return Quantity(value=value, kind="measured", source=SOURCE)


def rate(value: float) -> Rate:
    return Rate(value=value, kind="measured", source=SOURCE)


CPU = Device(
    name="toy-cpu",
    title="A toy",
    vendor="generic",
    kind="cpu",
    architecture="one",
    memory_kind="ddr",
    compute_units=measured(2),
    memory_capacity_bytes=measured(2**30),
    sustained=(
        MeasuredRates(
            flops_per_s={
                "contraction": {"f32": rate(2e11)},
                "convolution": {"f32": rate(2e11)},
                "transcendental": {"f32": rate(1e9)},
            },
            memory_bandwidth_bytes_per_s=rate(40e9),
            fresh_page_bytes_per_s=rate(2e9),
            awkward_bandwidth_bytes_per_s={"contraction": rate(1e9), "convolution": rate(2e9)},
            memory_efficiency={"softmax": rate(0.5)},
            operand_bandwidth_bytes_per_s={
                "contraction": rate(20e9),
                "contraction batched": rate(5e9),
                "convolution": rate(20e9),
                "convolution backward": rate(10e9),
            },
            result_bandwidth_bytes_per_s={"contraction": rate(10e9), "contraction thin": rate(4e9)},
            kernel_overhead_s={"convolution": measured(1e-4), "convolution backward": measured(2e-4)},
            resident_speedup={"convolution": rate(1.5), "pointwise": rate(2.0)},
            op_bandwidth_bytes_per_s={
                "aten.tanh": Rate(curve=((1e5, 4e9), (1e7, 8e9)), kind="measured", source=SOURCE)
            },
        ),
    ),
)
NEAR = ExecutionContext(mode="graph", resident=True)
COPY = KernelWork(kind="copy", dtype="f32", bytes_read=10**8, bytes_written=10**8)


def test_packing_comes_on_top_of_arithmetic():
    work = KernelWork(
        kind="convolution", dtype="f32", contraction_flops=10**9, pointwise_flops=10**9, bytes_read=10**8
    )
    forward = roofline_latency(CPU, work, GRAPH)
    assert forward.value_s == pytest.approx(1e-4 + 1e9 / 2e11 + 1e8 / 20e9)
    assert forward.source == "fitted"
    backward = roofline_latency(CPU, replace(work, op="aten.convolution_backward"), GRAPH)
    assert backward.value_s == pytest.approx(2e-4 + 1e9 / 2e11 + 1e8 / 10e9)


def test_what_a_product_writes_comes_on_top_at_a_rate_of_its_own():
    work = KernelWork(
        kind="contraction", dtype="f32", contraction_flops=10**9, bytes_read=10**7, bytes_written=10**8
    )
    assert roofline_latency(CPU, work, GRAPH).value_s == pytest.approx(1e9 / 2e11 + 1e7 / 20e9 + 1e8 / 10e9)


def test_products_of_fewer_than_48_rows_are_apart():
    def product(rows: int) -> KernelWork:
        flops, read_bytes = 2 * rows * 768 * 3072, 4 * 768 * 3072  # what the rows add is little
        return KernelWork(
            kind="contraction",
            dtype="f32",
            contraction_flops=flops,
            bytes_read=read_bytes,
            bytes_written=10**6,
        )

    assert [product(rows).group for rows in (1, 47, 48)] == ["contraction thin"] * 2 + ["contraction"]
    assert replace(product(1), op="aten.bmm").group == "contraction batched"
    thin = product(8)
    expected_s = thin.contraction_flops / 2e11 + thin.bytes_read / 20e9 + 1e6 / 4e9
    assert roofline_latency(CPU, thin, GRAPH).value_s == pytest.approx(expected_s)


def test_batched_products_bring_their_operands_into_form_at_a_rate_of_their_own():
    work = KernelWork(kind="contraction", dtype="f32", contraction_flops=10**9, bytes_read=10**8)
    for op, operands_s in (("aten.mm", 1e8 / 20e9), ("aten.bmm", 1e8 / 5e9), ("aten.baddbmm", 1e8 / 5e9)):
        latency = roofline_latency(CPU, replace(work, op=op), GRAPH)
        assert latency.value_s == pytest.approx(1e9 / 2e11 + operands_s)


def test_an_operation_with_a_rate_of_its_own_needs_no_other():
    tanh = KernelWork(
        kind="pointwise", dtype="f32", transcendental_flops=10**9, bytes_read=10**7, op="aten.tanh"
    )
    latency = roofline_latency(CPU, tanh, GRAPH)
    assert latency.value_s == pytest.approx(1e7 / 8e9)
    assert latency.source == "interpolated"
    in_half = roofline_latency(CPU, replace(tanh, dtype="bf16"), GRAPH)
    assert in_half.value_s == pytest.approx(1e9 / 1e9)


def test_fresh_pages_cost_what_writing_them_takes_longer_than_writing_others():
    roofline = Roofline(CPU, GRAPH)
    assert roofline.page_faults_s(10**8) == pytest.approx(1e8 / 2e9 - 1e8 / 40e9)
    assert roofline.page_faults_s(0) == 0


def test_rows_that_are_not_whole_vectors_take_a_product_longer():
    whole = KernelWork(
        kind="contraction",
        dtype="f32",
        contraction_flops=10**9,
        bytes_written=10**8,
        rows=Rows(32_000, 10**8),
    )
    odd = replace(whole, rows=Rows(32_004, 10**8))
    assert (whole.awkward_bytes, odd.awkward_bytes) == (0, 10**8)
    longer_s = roofline_latency(CPU, odd, GRAPH).value_s - roofline_latency(CPU, whole, GRAPH).value_s
    assert longer_s == pytest.approx(1e8 / 1e9)
    assert replace(odd, kind="convolution").awkward_bytes == 0


def test_filters_that_share_places_in_the_first_cache_take_a_gradient_longer():
    apart = KernelWork(kind="convolution", dtype="f32", bytes_written=10**7, rows=Rows(4096 + 64, 10**7))
    together = replace(apart, rows=Rows(2 * 4096, 10**7))
    assert (apart.awkward_bytes, together.awkward_bytes) == (0, 10**7)
    longer_s = roofline_latency(CPU, together, GRAPH).value_s - roofline_latency(CPU, apart, GRAPH).value_s
    assert longer_s == pytest.approx(1e7 / 2e9)
    assert replace(apart, rows=Rows()).awkward_bytes == 0


def test_a_kernel_whose_operands_stay_in_the_caches_is_faster_by_its_kind():
    product = KernelWork(kind="convolution", dtype="f32", contraction_flops=10**9, bytes_read=10**8)
    far_s = 1e-4 + 1e9 / 2e11 + 1e8 / 20e9
    assert roofline_latency(CPU, product, NEAR).value_s == pytest.approx(far_s / 1.5)
    tanh = KernelWork(kind="pointwise", dtype="f32", bytes_read=10**7, op="aten.tanh")
    assert roofline_latency(CPU, tanh, NEAR).value_s == pytest.approx(1e7 / 8e9 / 2)
    assert roofline_latency(CPU, COPY, NEAR) == roofline_latency(CPU, COPY, GRAPH)


def test_no_cache_makes_memory_faster_than_its_peak():
    slow = replace(CPU, memory_bandwidth_bytes_per_s=measured(10e9), l2_bytes=measured(2e6))
    tanh = KernelWork(kind="pointwise", dtype="f32", bytes_read=10**7, op="aten.tanh")
    assert roofline_latency(slow, tanh, NEAR).value_s == pytest.approx((1e7 - 2e6) / 10e9)
