"""Hand arithmetic of a calibrated CPU: warm caches and page faults."""

from dataclasses import replace
from datetime import date

import pytest

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
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
            memory_efficiency={"softmax": rate(0.5)},
            resident_speedup={"convolution": rate(1.5), "pointwise": rate(2.0)},
        ),
    ),
)
NEAR = ExecutionContext(mode="graph", resident=True)
COPY = KernelWork(kind="copy", dtype="f32", bytes_read=10**8, bytes_written=10**8)


def test_page_faults_cost_what_writing_new_pages_takes_longer_than_writing_others():
    roofline = Roofline(CPU, GRAPH)
    assert roofline.page_faults_s(10**8) == pytest.approx(1e8 / 2e9 - 1e8 / 40e9)
    assert roofline.page_faults_s(0) == 0


def test_a_malloc_that_keeps_its_memory_has_no_page_faults():
    kept = Roofline(CPU, replace(GRAPH, keep_memory=True))
    assert (kept.counts_page_faults, kept.page_faults_s(10**8)) == (False, 0)


def test_a_kernel_whose_operands_stay_in_the_caches_is_faster_by_its_kind():
    product = KernelWork(kind="convolution", dtype="f32", contraction_flops=10**9, bytes_read=10**7)
    assert roofline_latency(CPU, product, NEAR).value_s == pytest.approx(1e9 / 2e11 / 1.5)
    tanh = KernelWork(kind="pointwise", dtype="f32", transcendental_flops=10**7)
    assert roofline_latency(CPU, tanh, NEAR).value_s == pytest.approx(1e7 / 1e9 / 2)
    assert roofline_latency(CPU, COPY, NEAR) == roofline_latency(CPU, COPY, GRAPH)


def test_no_cache_makes_memory_faster_than_its_peak():
    slow = replace(CPU, memory_bandwidth_bytes_per_s=measured(10e9), l2_bytes=measured(2e6))
    tanh = KernelWork(kind="pointwise", dtype="f32", bytes_read=10**7)
    assert roofline_latency(slow, tanh, NEAR).value_s == pytest.approx((1e7 - 2e6) / 10e9)
