"""Calibration inverts the model: what microbenchmarks took is what is predicted for them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.write import write_device
from steelyard.hw.latency.roofline import Roofline
from steelyard.runtime.calibrate.cpu import busy_machine, calibrate
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, microbenchmark
from steelyard.runtime.timing.dispatch_overhead import HostTime
from steelyard.runtime.timing.interleaved_rounds import ROUNDS, Timing
from steelyard.runtime.timing.stream_bandwidth import Streams

HOST = HostTime(repeated_s=1e-6, kernel_s=4e-6, view_s=2e-6)
FLOP_S, MOVE_BYTE_S, RESIDENT_SPEEDUP = 1e-9, 3e-11, 1.5


def benchmarks() -> list[Microbenchmark]:
    """Products and layer norms small enough to make in a moment."""
    shapes = ((8, 64, 64), (64, 64, 64), (128, 128, 256))
    products = [microbenchmark("matmul.mlir", "product", {"rows": m, "k": k, "n": n}) for m, k, n in shapes]
    norms = [microbenchmark("layer_norm.mlir", "layer_norm", {"rows": r, "cols": 768}) for r in (8, 32, 128)]
    return [*products, microbenchmark("matmul_types.mlir", "square", {"n": 64, "type": "bf16"}), *norms]


def seconds(work: KernelWork) -> float:
    """A CPU whose arithmetic limits products, and whose norms stream, though its lanes look too slow."""
    return HOST.repeated_s + max(work.contraction_flops * FLOP_S, work.touched_bytes * MOVE_BYTE_S)


def timed(ops: Sequence[object], tell: Callable[[], None], *_: object) -> list[Timing]:
    for _ in range(ROUNDS):
        tell()
    cold_s = [seconds(each.work()) for each in benchmarks()]
    assert len(ops) == len(cold_s)
    return [
        Timing(time_s, 1.0, time_s, HOST.repeated_s + (time_s - HOST.repeated_s) / RESIDENT_SPEEDUP)
        for time_s in cold_s
    ]


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """What calibration tells of its progress."""
    return []


@pytest.fixture(scope="module")
def device(told: list[tuple[int, int]]) -> Device:
    """A device on which everything takes what the roofline says, with one and with two threads."""
    points = ((1e4, 1e11), (1e8, 1e11))
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in {
            "time_in_rounds": timed,
            "all_microbenchmarks": benchmarks,
            "reference_times_s": lambda threads: {"contraction": 2e-3 / threads},  # pyright: ignore
            "host_time": lambda: HOST,
            "streams": lambda _: Streams(points, 1e9),  # pyright: ignore
            "pointwise_flops_per_s": lambda _: 1e9,  # pyright: ignore
            "transcendental_flops_per_s": lambda _: 1e13,  # pyright: ignore
        }.items():
            patch.setattr(f"steelyard.runtime.calibrate.cpu.{name}", stand_in)
        return calibrate((1, 2), lambda done, total, _: told.append((done, total)))


def test_the_reference_of_a_kind_is_kept_for_each_number_of_threads(device: Device) -> None:
    kept = [{kind: rate.value for kind, rate in each.references_per_s.items()} for each in device.sustained]
    assert kept == [{"contraction": 500.0}, {"contraction": 1000.0}]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_model_gives_back_what_every_microbenchmark_took(device: Device, threads: int) -> None:
    roofline = Roofline(device, ExecutionContext(threads=threads))
    for each in benchmarks():
        predicted_s = roofline.latency(each.work()).value_s - HOST.kernel_s + HOST.repeated_s
        assert predicted_s == pytest.approx(seconds(each.work()), rel=0.02), each.name


def test_what_stays_in_the_caches_is_faster(device: Device) -> None:
    far, near = (Roofline(device, ExecutionContext(resident=resident)) for resident in (False, True))
    for work in (each.work() for each in benchmarks()):
        far_s, near_s = (each.latency(work).value_s - HOST.kernel_s for each in (far, near))
        assert far_s / near_s == pytest.approx(RESIDENT_SPEEDUP)


def test_every_number_is_measured_and_survives_the_file(device: Device, tmp_path: Path) -> None:
    assert {quantity.kind for _, quantity in device.quantities()} == {"measured"}
    assert {quantity.source.title.split(" on ")[0] for _, quantity in device.quantities()} == {"calibrate"}
    assert [entry.threads for entry in device.sustained] == [1, 2]
    write_device(tmp_path / "local-cpu.toml", device)
    assert load_device(tmp_path / "local-cpu.toml") == device


def test_rates_are_keyed_by_kinds_of_kernels_and_not_by_ops_of_a_frontend(device: Device) -> None:
    assert not [name for name, _ in device.quantities() if "aten" in name]


@pytest.mark.usefixtures("device")
def test_progress_counts_to_the_end(told: list[tuple[int, int]]) -> None:
    total = 2 * (1 + ROUNDS)
    assert told == [(done, total) for done in range(total + 1)]


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
