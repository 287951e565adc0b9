"""Calibration inverts the model: what probes took is what is predicted for them."""

from itertools import cycle
from pathlib import Path
from typing import Self

import pytest
import torch

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork, Rows
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.write import write_device
from steelyard.hw.latency.roofline import Roofline
from steelyard.runtime.calibrate.cpu import busy_machine, calibrate
from steelyard.runtime.microbenchmarks.convolutions import convolution
from steelyard.runtime.microbenchmarks.matmul_attention import attention, batched_matmul, matmul
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, work_of_probe
from steelyard.runtime.microbenchmarks.suite import all_probes
from steelyard.runtime.timing.dispatch_overhead import HostTime
from steelyard.runtime.timing.interleaved_rounds import ROUNDS, Timing
from steelyard.runtime.timing.microbench import threads_set_to
from steelyard.runtime.timing.stream_bandwidth import Streams

HOST = HostTime(repeated_s=1e-6, kernel_s=4e-6, view_s=2e-6)
FLOP_S, BYTE_S, RESULT_BYTE_S, OVERHEAD_S = 1e-11, 1e-10, 4e-11, 2e-5
SLOWER_OPERANDS = {
    ("contraction", "aten.bmm"): 2.0,
    ("convolution", "aten.convolution_backward"): 1.5,
    ("depthwise_convolution", "aten.convolution"): 2.0,
    ("depthwise_convolution", "aten.convolution_backward"): 3.0,
}
MOVE_BYTE_S = 3e-11
AWKWARD_BYTE_S = {"contraction": 1e-9, "convolution": 4e-10}
RESIDENT_SPEEDUP = 1.5

aten = torch.ops.aten


def _library(work: KernelWork) -> bool:
    return work.kind in ("contraction", "convolution", "depthwise_convolution", "attention")


def _seconds(work: KernelWork) -> float:
    """A CPU that keeps the law exactly."""
    if _library(work):
        packing_s = work.bytes_read * BYTE_S + work.bytes_written * RESULT_BYTE_S
        packing_s *= SLOWER_OPERANDS.get((work.kind, work.op), 1.0)
        packing_s += work.awkward_bytes * AWKWARD_BYTE_S.get(work.kind, 0)
        return HOST.repeated_s + OVERHEAD_S + work.contraction_flops * FLOP_S + packing_s
    return HOST.repeated_s + work.touched_bytes * MOVE_BYTE_S


def _timed(probes: list[Microbenchmark], tell: object, *_: object) -> list[Timing]:
    assert callable(tell)
    for _ in range(ROUNDS):
        tell()
    timings: list[Timing] = []
    for probe in probes:
        time_s = _seconds(work_of_probe(probe))
        repeated_s = HOST.repeated_s + (time_s - HOST.repeated_s) / RESIDENT_SPEEDUP
        timings.append(Timing(time_s, 1.0, time_s, repeated_s))
    return timings


class _References:
    """Times that alternate, so that only their median is what each probe takes."""

    def __init__(self, threads: int) -> None:
        self._slower = cycle((0.5, 1.0, 2.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def times_s(self) -> dict[str, float]:
        slower = next(self._slower)
        return {"mm 64x64x64 f32": slower * 2e-3, "mm 128x128x512 f32": slower * 1e-3}


@pytest.fixture(scope="module")
def probes() -> list[Microbenchmark]:
    """Those that are quick to run, and products and convolutions of enough sizes to tell the terms apart."""
    shapes = ((1, 512, 512), (64, 64, 64), (128, 128, 512), (256, 256, 256), (128, 64, 1021))
    products = [matmul(m, k, n) for m, k, n in shapes]
    products.append(matmul(64, 64, 64, dtype="bf16"))
    products += [batched_matmul(heads, 32, 64, 128) for heads in (1, 4, 16)]
    images = [
        convolution(1, 8 * scale, 16, 14 * scale, 3, groups=groups, backward=backward)
        for scale in (1, 2)
        for groups in (1, 8 * scale)
        for backward in (False, True)
        if groups == 1 or scale == 2
    ]
    images += [convolution(1, channels, 64, 7, 1, backward=True) for channels in (1024, 1040, 2048)]
    heads = [
        attention(1, 2, 32 * scale, 32, backward=backward) for scale in (1, 4) for backward in (False, True)
    ]
    moves = [
        probe for probe in all_probes() if probe.op in (aten.tanh.default, aten.native_layer_norm.default)
    ]
    return [*products, *images, *heads, *moves]


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """What calibration tells of its progress."""
    return []


@pytest.fixture(scope="module")
def device(probes: list[Microbenchmark], told: list[tuple[int, int]]) -> Device:
    """A device on which everything takes what the law says, with one and with two threads."""
    points = ((1e4, 1e11), (1e8, 1e11))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steelyard.runtime.calibrate.cpu.time_in_rounds", _timed)
        patch.setattr("steelyard.runtime.calibrate.cpu.all_probes", lambda: probes)
        patch.setattr("steelyard.runtime.calibrate.cpu.References", _References)
        patch.setattr("steelyard.runtime.calibrate.cpu.host_time", lambda: HOST)
        patch.setattr("steelyard.runtime.calibrate.cpu.streams", lambda _: Streams(points, 1e9))
        patch.setattr("steelyard.runtime.calibrate.cpu.pointwise_flops_per_s", lambda _: 1e11)
        patch.setattr("steelyard.runtime.calibrate.cpu.transcendental_flops_per_s", lambda _: 1e9)
        return calibrate((1, 2), lambda done, total, _: told.append((done, total)))


def test_references_are_kept_with_their_bytes_at_their_median(device: Device) -> None:
    rates = {name: rate.curve for name, rate in device.sustained[0].references_per_s.items()}
    assert rates == {
        "mm 64x64x64 f32": ((3 * 64 * 64 * 4, 500.0),),
        "mm 128x128x512 f32": (((128 * 128 + 2 * 128 * 512) * 4, 1000.0),),
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_the_model_gives_back_what_every_probe_took(
    device: Device, probes: list[Microbenchmark], threads: int
) -> None:
    roofline = Roofline(device, ExecutionContext(threads=threads))
    for probe in probes:
        work = work_of_probe(probe)
        predicted_s = roofline.latency(work).value_s - HOST.kernel_s + HOST.repeated_s
        assert predicted_s == pytest.approx(_seconds(work), rel=0.1), probe.name


def test_an_operation_without_a_probe_is_priced_by_its_kind(device: Device) -> None:
    roofline = Roofline(device, ExecutionContext())
    norm = KernelWork(kind="normalization", dtype="f32", bytes_read=10**6, bytes_written=10**6)
    busy_s = roofline.latency(norm).value_s - HOST.kernel_s
    assert busy_s == pytest.approx(2e6 * MOVE_BYTE_S, rel=0.05)
    product = KernelWork(kind="contraction", dtype="f32", contraction_flops=10**8, bytes_read=10**6)
    assert roofline.latency(product).value_s == pytest.approx(
        HOST.kernel_s + OVERHEAD_S + 1e8 * FLOP_S + 1e6 * BYTE_S, rel=0.05
    )


def test_rows_at_a_bad_distance_have_a_rate_of_their_own(device: Device) -> None:
    for sustained in device.sustained:
        found = {kind: rate.at(1) for kind, rate in sustained.awkward_bandwidth_bytes_per_s.items()}
        assert found == pytest.approx({kind: 1 / byte_s for kind, byte_s in AWKWARD_BYTE_S.items()}, rel=0.1)


def test_rows_of_products_that_are_not_whole_vectors_are_awkward() -> None:
    # 8 f32 are a vector of 32 bytes
    assert work_of_probe(matmul(4, 8, 16)).awkward_bytes == 0
    assert work_of_probe(matmul(4, 8, 15)).awkward_bytes == 4 * 4 * 15
    assert work_of_probe(matmul(4, 8, 8, dtype="bf16")).awkward_bytes == 2 * 4 * 8


def test_gradients_of_filters_that_lie_whole_ways_of_a_cache_apart_are_awkward() -> None:
    # 1024 f32 are 4 KiB; the image's gradient and results have no filters
    assert work_of_probe(convolution(1, 1024, 8, 7, 1, backward=True)).awkward_bytes == 4096 * 8
    assert work_of_probe(convolution(1, 1040, 8, 7, 1, backward=True)).awkward_bytes == 0
    assert work_of_probe(convolution(1, 256, 8, 7, 3, backward=True)).awkward_bytes == 0
    assert work_of_probe(convolution(1, 8, 8, 1024, 1)).awkward_bytes == 0


def test_what_stays_in_the_caches_is_faster(device: Device, probes: list[Microbenchmark]) -> None:
    far, near = (Roofline(device, ExecutionContext(resident=resident)) for resident in (False, True))
    for work in map(work_of_probe, probes):
        far_s, near_s = (each.latency(work).value_s - HOST.kernel_s for each in (far, near))
        assert far_s / near_s == pytest.approx(RESIDENT_SPEEDUP)


def test_every_number_is_measured_and_survives_the_file(device: Device, tmp_path: Path) -> None:
    assert {quantity.kind for _, quantity in device.quantities()} == {"measured"}
    assert {quantity.source.title.split(" on ")[0] for _, quantity in device.quantities()} == {"calibrate"}
    assert [entry.threads for entry in device.sustained] == [1, 2]
    write_device(tmp_path / "local-cpu.toml", device)
    assert load_device(tmp_path / "local-cpu.toml") == device


@pytest.mark.usefixtures("device")
def test_progress_counts_to_the_end(told: list[tuple[int, int]]) -> None:
    total = 2 * (1 + ROUNDS)
    assert told == [(done, total) for done in range(total + 1)]


def test_a_probe_has_the_work_of_a_program() -> None:
    product = work_of_probe(matmul(4, 8, 16, transposed="b"))
    assert product == KernelWork(
        kind="contraction",
        dtype="f32",
        contraction_flops=2 * 4 * 8 * 16,
        bytes_read=4 * (4 * 8 + 8 * 16),
        bytes_written=4 * 4 * 16,
        rows=Rows(4 * 16, 4 * 4 * 16),
        op="aten.mm",
    )
    thin = work_of_probe(convolution(1, 8, 8, 14, 3, groups=8))
    assert (thin.kind, thin.contraction_flops) == ("depthwise_convolution", 2 * 9 * 8 * 14**2)


def test_a_batch_norm_that_takes_statistics_is_apart() -> None:
    vectors = [torch.ones(4) for _ in range(4)]
    names = set[str]()
    for training in (False, True):
        operands = (torch.rand(1, 4, 3, 3), *vectors, training, 0.1, 1e-5)
        names.add(work_of_probe(Microbenchmark("", aten.native_batch_norm.default, lambda: operands)).op)  # noqa: B023
    assert names == {"aten.native_batch_norm", "aten.native_batch_norm training"}


def test_the_gradient_of_an_image_that_is_stepped_over_is_apart() -> None:
    strided = work_of_probe(convolution(1, 8, 8, 14, 3, stride=2, backward=True))
    assert (strided.op, strided.group) == (
        "aten.convolution_backward strided",
        "convolution backward strided",
    )
    others = (
        convolution(1, 8, 8, 14, 3, backward=True),
        convolution(1, 3, 8, 14, 3, stride=2, backward=True),  # no gradient of the image is asked for
        convolution(1, 8, 8, 14, 3, stride=2, groups=8, backward=True),
    )
    assert {work_of_probe(probe).op for probe in others} == {"aten.convolution_backward"}


def test_a_probe_without_a_rule_is_an_error() -> None:
    probe = Microbenchmark("a norm", aten.renorm.default, lambda: (torch.ones(1, 1), 2, 0, 1.0))
    with pytest.raises(ValueError, match="the work of a norm is not known"):
        work_of_probe(probe)


def test_probes_are_named_once_and_cover_every_kind() -> None:
    names = [probe.name for probe in all_probes()]
    assert len(set(names)) == len(names)
    assert len(names) > 150


@pytest.mark.parametrize(
    ("others", "spread", "said"),
    [
        (0.02, 1.1, None),
        (None, 1.1, None),
        (0.83, 1.1, "other processes kept 0.83 CPUs busy, where 0.1 is the most"),
        (None, 2.0, "times varied by a factor of 2.00, where 1.3 is the most"),
    ],
)
def test_a_busy_machine_is_told_with_both_numbers(
    others: float | None, spread: float, said: str | None
) -> None:
    complaint = busy_machine(others, spread)
    assert complaint is None if said is None else complaint and complaint.startswith(said)


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stop"), threads_set_to(before + 1):
        assert torch.get_num_threads() == before + 1
        assert not torch.is_grad_enabled()
        raise RuntimeError("stop")
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()
