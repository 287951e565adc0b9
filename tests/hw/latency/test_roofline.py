"""Hand arithmetic and laws of the roofline."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.registry import device_names, load_device
from steelyard.hw.latency.roofline import Roofline, roofline_latency

SOURCE = Source(title="a test", date=date(2026, 1, 1))
GRAPH = ExecutionContext(mode="graph")
EAGER = ExecutionContext()


def spec(value: float) -> Quantity:
    return Quantity(value=value, kind="spec", source=SOURCE)


def measured(value: float) -> Quantity:
    return Quantity(value=value, kind="measured", source=SOURCE)


def rate(value: float) -> Rate:
    return Rate(value=value, kind="measured", source=SOURCE)


def curve(*points: tuple[float, float]) -> Rate:
    return Rate(curve=points, kind="measured", source=SOURCE)


GPU = Device(
    name="toy-gpu",
    title="A toy",
    vendor="nvidia",
    kind="gpu",
    architecture="one",
    memory_kind="hbm",
    compute_units=spec(10),
    matrix_peak_flops_per_s={"f16": spec(100e12), "tf32": spec(50e12), "f64": spec(8e12)},
    vector_peak_flops_per_s={"f32": spec(10e12), "f64": spec(5e12)},
    memory_capacity_bytes=spec(2**30),
    memory_bandwidth_bytes_per_s=spec(1e12),
    l2_bytes=spec(1e6),
    sustained=(
        MeasuredRates(
            flops_per_s={"contraction": {"f16": rate(80e12), "f32": rate(8e12)}},
            memory_bandwidth_bytes_per_s=rate(0.8e12),
            launch_overhead_s=measured(2e-6),
            dispatch_overhead_s=measured(10e-6),
        ),
    ),
)
UNMEASURED = replace(GPU, sustained=())
CPU = replace(
    GPU,
    name="toy-cpu",
    kind="cpu",
    memory_kind="ddr",
    matrix_peak_flops_per_s={},
    vector_peak_flops_per_s={"f32": spec(1e12)},
    memory_bandwidth_bytes_per_s=spec(100e9),
    sustained=(
        MeasuredRates(
            flops_per_s={
                "contraction": {"f32": curve((1e6, 1e11), (1e8, 4e11))},
                "convolution": {"f32": rate(2e11)},
                "depthwise_convolution": {"f32": rate(2e10)},
                "transcendental": {"f32": rate(1e9)},
            },
            memory_bandwidth_bytes_per_s=curve((1e4, 400e9), (1e6, 400e9), (1e8, 40e9)),
            memory_efficiency={"softmax": rate(0.5)},
            dispatch_overhead_s=measured(5e-6),
            view_overhead_s=measured(1e-6),
        ),
    ),
)


def gemm(dtype: str = "f16", flops: int = 80_000_000_000, **parts: int) -> KernelWork:
    return KernelWork(kind="contraction", dtype=dtype, contraction_flops=flops, **parts)  # type: ignore[arg-type]


def copy(size_bytes: int, **parts: int) -> KernelWork:
    return KernelWork(kind="copy", dtype="f32", bytes_read=size_bytes, bytes_written=size_bytes, **parts)


# --- hand arithmetic on a GPU ----------------------------------------------------------------------------


def test_compute_bound_gemm_is_flops_over_sustained_peak_and_a_launch():
    latency = roofline_latency(GPU, gemm(bytes_read=8_000_000), GRAPH)
    assert latency.value_s == pytest.approx(80e9 / 80e12 + 2e-6)
    assert (latency.limiter, latency.source) == ("compute", "fitted")


def test_memory_bound_copy_is_bytes_over_sustained_bandwidth_and_a_launch():
    latency = roofline_latency(GPU, copy(400_000_000), GRAPH)
    assert latency.value_s == pytest.approx(800e6 / 0.8e12 + 2e-6)
    assert (latency.limiter, latency.source) == ("memory", "fitted")


def test_compute_and_memory_overlap():
    both = roofline_latency(GPU, gemm(bytes_read=400_000_000, bytes_written=400_000_000), GRAPH)
    assert both.value_s == pytest.approx(max(80e9 / 80e12, 800e6 / 0.8e12) + 2e-6)


def test_units_of_one_kernel_work_one_after_the_other():
    work = KernelWork(
        kind="attention", dtype="f16", contraction_flops=80_000_000_000, pointwise_flops=7_500_000_000
    )
    assert roofline_latency(GPU, work, GRAPH).value_s == pytest.approx(1e-3 + 7.5e9 / (0.75 * 10e12) + 2e-6)


def test_a_small_kernel_is_bound_by_its_launch():
    latency = roofline_latency(GPU, copy(100), GRAPH)
    assert latency.limiter == "launch"
    assert latency.value_s == pytest.approx(2e-6 + 200 / 0.8e12)


def test_a_short_kernel_waits_for_the_host_in_eager_mode_only():
    eager = roofline_latency(GPU, copy(100), EAGER)
    assert (eager.value_s, eager.limiter) == (10e-6, "host")
    assert roofline_latency(GPU, copy(100), GRAPH).value_s < 3e-6
    without = ExecutionContext(host_overhead=False)
    assert roofline_latency(GPU, copy(100), without).limiter == "launch"


def test_a_long_kernel_hides_the_host():
    assert roofline_latency(GPU, gemm(), EAGER).value_s == roofline_latency(GPU, gemm(), GRAPH).value_s


def test_compiled_code_may_or_may_not_dispatch():
    latency = roofline_latency(GPU, copy(100), ExecutionContext(mode="compiled"))
    assert latency.value_s == roofline_latency(GPU, copy(100), GRAPH).value_s
    assert latency.high_s == 10e-6


def test_a_view_does_nothing_on_a_gpu_but_may_cost_the_host():
    view = KernelWork(kind="view", dtype="f32")
    latency = roofline_latency(GPU, view, EAGER)
    assert (latency.value_s, latency.low_s, latency.high_s, latency.limiter) == (0, 0, 10e-6, "none")
    assert roofline_latency(GPU, view, GRAPH).high_s == 0


# --- which unit and type ---------------------------------------------------------------------------------


def test_f32_takes_tf32_only_where_the_context_allows_it():
    exact = roofline_latency(GPU, gemm("f32"), GRAPH)
    assert exact.value_s == pytest.approx(80e9 / 8e12 + 2e-6)
    rounded = roofline_latency(GPU, gemm("f32"), ExecutionContext(mode="graph", tf32=True))
    assert rounded.value_s == pytest.approx(80e9 / (0.8 * 50e12) + 2e-6)


def test_tf32_does_nothing_where_there_is_none():
    device = replace(GPU, matrix_peak_flops_per_s={"f16": spec(100e12)})
    tf32 = ExecutionContext(mode="graph", tf32=True)
    assert roofline_latency(device, gemm("f32"), tf32) == roofline_latency(device, gemm("f32"), GRAPH)


@pytest.mark.parametrize("dtype", ["bf16", "i8", "i64", "i1"])
def test_types_without_a_unit_fall_back_to_f32(dtype: str):
    assert roofline_latency(GPU, gemm(dtype), GRAPH) == roofline_latency(GPU, gemm("f32"), GRAPH)


def test_a_type_that_nothing_stands_in_for_is_an_error():
    with pytest.raises(DeviceError) as caught:
        roofline_latency(GPU, gemm("f8"), GRAPH)
    assert str(caught.value).startswith(
        "device 'toy-gpu' has no rate for contraction in f8\n  why: its file knows f16, f32, f64, tf32"
    )


def test_a_type_that_is_not_computed_with_needs_no_unit():
    assert roofline_latency(GPU, KernelWork(kind="copy", dtype="f8", bytes_read=8), GRAPH).limiter == "launch"


def test_pointwise_half_precision_is_done_in_f32_lanes():
    work = KernelWork(kind="pointwise", dtype="f16", pointwise_flops=10**10)
    assert roofline_latency(GPU, work, GRAPH).value_s == pytest.approx(1e10 / (0.75 * 10e12) + 2e-6)


def test_depthwise_convolution_does_not_get_the_matrix_unit():
    work = KernelWork(kind="depthwise_convolution", dtype="f16", contraction_flops=10**10)
    assert roofline_latency(GPU, work, GRAPH).value_s == pytest.approx(1e10 / (0.75 * 10e12) + 2e-6)


def test_transcendentals_are_slower_than_other_arithmetic():
    fast = KernelWork(kind="pointwise", dtype="f32", pointwise_flops=10**10)
    slow = KernelWork(kind="pointwise", dtype="f32", transcendental_flops=10**10)
    ratio = (roofline_latency(GPU, slow, GRAPH).value_s - 2e-6) / (
        roofline_latency(GPU, fast, GRAPH).value_s - 2e-6
    )
    assert ratio == pytest.approx(16)


def test_a_collective_is_not_priced_by_one_device():
    with pytest.raises(DeviceError, match="collective"):
        roofline_latency(GPU, KernelWork(kind="collective", dtype="f32", bytes_read=8), GRAPH)


def test_a_device_without_any_bandwidth_is_an_error():
    device = replace(UNMEASURED, memory_bandwidth_bytes_per_s=None)
    with pytest.raises(DeviceError, match="no memory bandwidth"):
        roofline_latency(device, copy(8), GRAPH)


# --- a calibrated CPU ------------------------------------------------------------------------------------


def test_dispatch_adds_to_the_kernel_on_a_cpu():
    eager = roofline_latency(CPU, gemm("f32", 10**8), EAGER)
    assert eager.value_s == pytest.approx(1e8 / 4e11 + 5e-6)
    assert (eager.limiter, eager.source) == ("compute", "interpolated")
    assert roofline_latency(CPU, gemm("f32", 10**8), GRAPH).value_s == pytest.approx(1e8 / 4e11)


def test_a_curve_gives_the_rate_for_the_size_of_the_kernel():
    small = roofline_latency(CPU, gemm("f32", 10**7), GRAPH)
    assert small.value_s == pytest.approx(1e7 / 2e11)


def test_rates_go_by_the_kind_of_kernel():
    def time_s(kind: str) -> float:
        work = KernelWork(kind=kind, dtype="f32", contraction_flops=10**8)  # type: ignore[arg-type]
        return roofline_latency(CPU, work, GRAPH).value_s

    assert time_s("convolution") == pytest.approx(1e8 / 2e11)
    assert time_s("depthwise_convolution") == pytest.approx(1e8 / 2e10)
    assert time_s("attention") == time_s("contraction")


def test_small_work_runs_in_the_cache():
    assert roofline_latency(CPU, copy(10**5), GRAPH).value_s == pytest.approx(2e5 / 400e9)
    assert roofline_latency(CPU, copy(10**8), GRAPH).value_s == pytest.approx(2e8 / 40e9)


def test_memory_efficiency_of_a_kind_divides_its_traffic():
    plain = KernelWork(kind="pointwise", dtype="f32", bytes_read=10**8)
    softmax = replace(plain, kind="softmax")
    assert roofline_latency(CPU, softmax, GRAPH).value_s == pytest.approx(
        2 * roofline_latency(CPU, plain, GRAPH).value_s
    )


def test_a_view_costs_the_host_on_an_eager_cpu():
    view = KernelWork(kind="view", dtype="f32")
    eager = roofline_latency(CPU, view, EAGER)
    assert (eager.value_s, eager.limiter, eager.source) == (1e-6, "host", "fitted")
    assert roofline_latency(CPU, view, GRAPH).value_s == 0


def test_fewer_threads_get_their_share_of_an_uncalibrated_cpu():
    device = replace(CPU, sustained=())
    work = KernelWork(kind="pointwise", dtype="f32", pointwise_flops=10**10)
    all_s = roofline_latency(device, work, GRAPH).value_s
    two_s = roofline_latency(device, work, ExecutionContext(mode="graph", threads=2)).value_s
    assert two_s == pytest.approx(5 * all_s)


def test_threads_choose_their_own_calibration():
    entries = tuple(
        MeasuredRates(
            threads=n, memory_bandwidth_bytes_per_s=rate(n * 1e9), dispatch_overhead_s=measured(1e-6)
        )
        for n in (1, 2)
    )
    device = replace(CPU, sustained=entries)
    one = roofline_latency(device, copy(10**9), ExecutionContext(mode="graph", threads=1))
    assert one.value_s == pytest.approx(2e9 / 1e9)
    assert roofline_latency(device, copy(10**9), GRAPH).value_s == pytest.approx(2e9 / 2e9)


# --- floor, source, interval -----------------------------------------------------------------------------


def test_defaults_are_marked_analytic():
    latency = roofline_latency(UNMEASURED, gemm(), GRAPH)
    assert latency.value_s == pytest.approx(80e9 / (0.8 * 100e12) + 2.5e-6)
    assert latency.source == "analytic"


def test_a_rate_beyond_the_peak_is_cut_at_the_floor():
    wild = replace(GPU, sustained=(MeasuredRates(memory_bandwidth_bytes_per_s=rate(5e12)),))
    latency = roofline_latency(wild, copy(10**9), GRAPH)
    assert latency.value_s == pytest.approx((2e9 - 1e6) / 1e12 + 2.5e-6)
    assert (latency.limiter, latency.source) == ("memory", "spec")


def test_what_fits_the_cache_may_beat_the_memory():
    wild = replace(GPU, sustained=(MeasuredRates(memory_bandwidth_bytes_per_s=rate(5e12)),))
    assert roofline_latency(wild, copy(400_000), GRAPH).value_s == pytest.approx(8e5 / 5e12 + 2.5e-6)


def test_a_calibrated_device_is_surer_than_a_data_sheet():
    def width(device: Device) -> float:
        latency = roofline_latency(device, gemm(), GRAPH)
        return latency.high_s / latency.low_s

    assert width(GPU) < width(UNMEASURED)


works = st.builds(
    KernelWork,
    kind=st.sampled_from(["contraction", "convolution", "attention", "pointwise", "softmax", "copy", "view"]),
    dtype=st.sampled_from(["f32", "f16", "bf16", "i64"]),
    contraction_flops=st.integers(0, 10**15),
    pointwise_flops=st.integers(0, 10**12),
    transcendental_flops=st.integers(0, 10**12),
    bytes_read=st.integers(0, 10**11),
    bytes_written=st.integers(0, 10**11),
)
contexts = st.builds(
    ExecutionContext,
    mode=st.sampled_from(["eager", "graph", "compiled"]),
    tf32=st.booleans(),
    host_overhead=st.booleans(),
)
devices = st.sampled_from([GPU, UNMEASURED, CPU, *map(load_device, device_names())])
AMOUNTS = ["contraction_flops", "pointwise_flops", "transcendental_flops", "bytes_read", "bytes_written"]


@given(devices, works, contexts)
def test_the_value_lies_in_its_interval_and_above_the_floor(
    device: Device, work: KernelWork, context: ExecutionContext
):
    latency = roofline_latency(device, work, context)
    assert 0 <= latency.low_s <= latency.value_s <= latency.high_s
    assert (latency.limiter == "none") == (latency.value_s == 0)
    if work.kind == "view":
        return
    assert device.memory_bandwidth_bytes_per_s is not None
    cache_bytes = device.l2_bytes.value if device.l2_bytes else 0
    touched_bytes = work.bytes_read + work.bytes_written
    assert latency.low_s >= (touched_bytes - cache_bytes) / device.memory_bandwidth_bytes_per_s.value
    peaks = [*device.matrix_peak_flops_per_s.values(), *device.vector_peak_flops_per_s.values()]
    assert latency.low_s >= work.contraction_flops / max(peak.value for peak in peaks)


@given(devices, works, contexts, st.sampled_from(AMOUNTS), st.integers(1, 10**12))
def test_more_work_never_takes_less_time(
    device: Device, work: KernelWork, context: ExecutionContext, amount: str, more: int
):
    larger = replace(work, **{amount: getattr(work, amount) + more})
    before, after = (roofline_latency(device, each, context).value_s for each in (work, larger))
    assert after >= before * (1 - 1e-9)


@given(works, contexts, st.floats(1, 100), st.booleans())
def test_a_faster_device_is_never_slower(
    work: KernelWork, context: ExecutionContext, factor: float, memory: bool
):
    faster = replace(
        UNMEASURED,
        memory_bandwidth_bytes_per_s=spec(1e12 * (factor if memory else 1)),
        vector_peak_flops_per_s={"f32": spec(10e12 * (1 if memory else factor))},
        matrix_peak_flops_per_s={"f16": spec(100e12 * (1 if memory else factor)), "tf32": spec(50e12)},
    )
    before, after = (roofline_latency(each, work, context).value_s for each in (UNMEASURED, faster))
    assert after <= before * (1 + 1e-9)


def test_the_limiter_flips_between_devices():
    """128 FLOP/byte in bf16: beyond the ridge of a V100, which falls back to f32, before that of an H100."""
    work = gemm("bf16", 128 * 10**9, bytes_read=6 * 10**8, bytes_written=4 * 10**8)
    assert roofline_latency(load_device("v100-sxm2-16gb"), work, GRAPH).limiter == "compute"
    assert roofline_latency(load_device("h100-sxm"), work, GRAPH).limiter == "memory"


def test_the_better_device_flips_with_the_work():
    """An L40S has the arithmetic, an A100 the bandwidth."""
    l40s, a100 = load_device("l40s"), load_device("a100-40gb-pcie")
    heavy, light = gemm("bf16", 10**13), copy(10**9)
    assert roofline_latency(l40s, heavy, GRAPH).value_s < roofline_latency(a100, heavy, GRAPH).value_s
    assert roofline_latency(l40s, light, GRAPH).value_s > roofline_latency(a100, light, GRAPH).value_s


def test_the_function_and_the_class_agree():
    assert Roofline(GPU, EAGER).latency(gemm()) == roofline_latency(GPU, gemm(), EAGER)
