"""Calibration inverts the roofline: what a probe took is what is predicted for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from steelyard.hw.device import Device
from steelyard.hw.device_file import write_device
from steelyard.hw.registry import load_device
from steelyard.hw.roofline import Roofline
from steelyard.hw.work import ExecutionContext
from steelyard.runtime.calibrate import calibrate
from steelyard.runtime.microbench import threads_set_to, typical_s
from steelyard.runtime.probes import Probe, attention, convolution, matmul, memory_probes, rate_probes

TIME_S = 1e-3
RATES = {
    ("contraction", "f32"): [matmul(64, 64, 64)],
    ("attention", "f32"): [attention(1, 2, 64, 32)],
    ("convolution", "f32"): [convolution(1, 8, 8, 14, 3)],
}
# The first of a kind is the smallest.
MOVES = {probe.work.kind: probe for probe in reversed(list(memory_probes()))}


def _took(run: Callable[[], object], *, kept_bytes: int = 0, budget_s: float = 0.0) -> float:
    return TIME_S


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """What calibration tells of its progress."""
    return []


@pytest.fixture(scope="module")
def device(told: list[tuple[int, int]]) -> Device:
    """A device on which everything takes `TIME_S`, with one and with two threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steelyard.runtime.calibrate.typical_s", _took)
        patch.setattr("steelyard.runtime.calibrate.rate_probes", lambda: RATES)
        patch.setattr("steelyard.runtime.calibrate.memory_probes", lambda: list(MOVES.values()))
        return calibrate((1, 2), lambda done, total, _: told.append((done, total)))


@pytest.mark.parametrize("probe", MOVES.values(), ids=lambda probe: probe.work.kind)
def test_the_roofline_gives_back_what_a_move_took(device: Device, probe: Probe) -> None:
    latency = Roofline(device, ExecutionContext(threads=1)).latency(probe.work)
    assert latency.value_s == pytest.approx(TIME_S, rel=1e-2)
    assert latency.source == "interpolated"


@pytest.mark.parametrize("probe", [group[0] for group in RATES.values()], ids=lambda probe: probe.work.kind)
def test_the_roofline_gives_back_what_arithmetic_took(device: Device, probe: Probe) -> None:
    work = replace(probe.work, bytes_read=0, bytes_written=0, allocated_bytes=0)
    latency = Roofline(device, ExecutionContext(threads=2)).latency(work)
    assert latency.value_s == pytest.approx(TIME_S, rel=1e-3)
    assert latency.limiter == "compute"


def test_every_number_is_measured_and_survives_the_file(device: Device, tmp_path: Path) -> None:
    assert {quantity.kind for _, quantity in device.quantities()} == {"measured"}
    assert {quantity.source.title.split(" on ")[0] for _, quantity in device.quantities()} == {"calibrate"}
    assert [entry.threads for entry in device.sustained] == [1, 2]
    write_device(tmp_path / "local-cpu.toml", device)
    assert load_device(tmp_path / "local-cpu.toml") == device


@pytest.mark.usefixtures("device")
def test_progress_counts_to_the_end(told: list[tuple[int, int]]) -> None:
    total = 2 * (1 + len(RATES) + len(MOVES))
    assert told == [(done, total) for done in range(total + 1)]


def test_every_probe_runs_and_allocates_what_it_says() -> None:
    small = [probe for group in rate_probes().values() for probe in group]
    small += list(memory_probes())
    small = [probe for probe in small if probe.work.bytes_read + probe.work.bytes_written < 2e6]
    assert {"contraction", "attention", "softmax", "copy", "random"} <= {probe.work.kind for probe in small}
    for probe in small:
        result = probe.prepare()()
        tensors = result if isinstance(result, tuple) else (result,)
        made_bytes = sum(each.nbytes for each in tensors if isinstance(each, torch.Tensor))
        expected_bytes = probe.work.allocated_bytes
        if expected_bytes:  # statistics and the like come on top
            assert expected_bytes <= made_bytes <= 1.05 * expected_bytes + 8192, probe.name


def test_results_are_kept_while_timing() -> None:
    alive, most = 0, 0

    class Result:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    typical_s(Result, kept_bytes=64 * 2**20, budget_s=0.0)
    assert (alive, most) == (0, 2)


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stop"), threads_set_to(before + 1):
        assert torch.get_num_threads() == before + 1
        assert not torch.is_grad_enabled()
        raise RuntimeError("stop")
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()
