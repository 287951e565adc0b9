"""The pace of this machine: what it does to a prediction, and that its reference kernels are timed."""

from datetime import date
from time import sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr, LatencyEstimate
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.quantity import Rate, Source
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.runtime.microbenchmarks.suite import all_probes
from steelyard.runtime.timing.drift_references import REFERENCES, References
from steelyard.runtime.timing.machine_drift import Pace, Pacer, program_slowdown, time_with_pace

SOURCE = Source(title="made up", date=date(2026, 1, 1))
TIMES_US = {"aten.mm": 60.0, "aten.relu": 30.0, "aten.clone": 10.0}
PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %0 = aten.mm(%x, %w) : tensor<64x64xf32>
    %1 = aten.relu(%0) : tensor<64x64xf32>
    %2 = aten.clone(%1) : tensor<64x64xf32>
    func.return %2 : tensor<64x64xf32>
  }
}
"""


@pytest.fixture
def module() -> ModuleOp:
    found = parse_program(PROGRAM)
    AnnotateCostPass().apply(make_context(), found)
    for op in found.walk():
        if op.name in TIMES_US:
            value_us = TIMES_US[op.name]
            estimate = LatencyEstimate(
                value_us=value_us, low_us=value_us, high_us=value_us, limiter="compute", source="measured"
            )
            op.attributes[LATENCY] = LatencyAttr(estimate)
    return found


def test_memory_caches_and_all_else_slow_down_apart(module: ModuleOp):
    copied_bytes = 2 * 64 * 64 * 4
    pace = Pace(2.0, 1.0, 0.5, bytes_per_s=copied_bytes / 10e-6, own_bytes=copied_bytes)
    # Moving alone keeps the clone busy, the relu for a third of its time, the product for 15 us. Half of what
    # the first two touch comes from memory, three fifths of what the product does.
    now_us = 10 * 1.5 + (10 * 1.5 + 20 * 0.5) + (15 * (0.6 * 2.0 + 0.4 * 1.0) + 45 * 0.5)
    assert program_slowdown(module, pace) == pytest.approx(now_us / 100)


def test_without_a_pace_the_prediction_stands(module: ModuleOp):
    assert program_slowdown(module, Pace()) == 1


def test_what_a_kernel_moves_takes_at_most_its_time():
    pace = Pace(memory=3.0, caches=2.0, bytes_per_s=1e9, own_bytes=1e6)
    assert pace.slowdown(1e-6, 1e6) == 2.5
    assert pace.slowdown(0.0, 0.0) == 1


PACES = st.floats(0.1, 10)


@given(
    st.floats(0, 1),
    st.floats(0, 1e12),
    st.floats(1, 1e12),
    st.floats(1, 1e9),
    st.tuples(PACES, PACES, PACES),
)
def test_a_slowdown_is_between_those_of_its_parts(
    time_s: float,
    touched_bytes: float,
    bytes_per_s: float,
    own_bytes: float,
    paces: tuple[float, float, float],
):
    slowdown = Pace(*paces, bytes_per_s=bytes_per_s, own_bytes=own_bytes).slowdown(time_s, touched_bytes)
    assert min(paces) * (1 - 1e-9) <= slowdown <= max(paces) * (1 + 1e-9)


def calibrated(seconds: dict[str, tuple[float, float]], threads: int = 1) -> MeasuredRates:
    """A machine whose reference kernels touch so many bytes and took so many seconds, by name."""
    return MeasuredRates(
        threads=threads,
        memory_bandwidth_bytes_per_s=Rate(curve=((1, 9e9), (2, 1e9)), kind="measured", source=SOURCE),
        references_per_s={
            name: Rate(curve=((touched_bytes, 1 / time_s),), kind="measured", source=SOURCE)
            for name, (touched_bytes, time_s) in seconds.items()
        },
    )


def all_references(threads: int = 1) -> MeasuredRates:
    """A machine that calls took a picosecond on, beside which every other is slow."""
    return calibrated({probe.name: (1.0, 1e-12) for probe in list(all_probes())[REFERENCES]}, threads)


def test_references_run_beside_the_steps_of_a_calibrated_machine():
    time_s, pace = time_with_pace(lambda: sleep(0.05), all_references(), least_s=0.0)
    assert time_s >= 0.05
    assert pace.memory > 1
    assert pace.bytes_per_s == 1e9


def test_a_machine_that_was_not_calibrated_has_no_pace():
    assert time_with_pace(lambda: sleep(0.05), MeasuredRates(threads=1), least_s=0.0)[1] == Pace()


TIMES = {f"product {n}": (1.0, 1e-3) for n in range(5)}
TIMES |= {f"stream {n}": (1e9, 1.0) for n in range(5)} | {f"small {n}": (1e4, 1e-5) for n in range(5)}
TIMES |= {"both": (5e8, 1.0)}


def test_the_pace_explains_what_the_references_take(monkeypatch: pytest.MonkeyPatch):
    slower = {"product": 0.8, "stream": 1.5, "small": 2.0, "both": 0.5 * 0.8 + 0.5 * 1.5}
    now_s = {name: slower[name.split()[0]] * time_s for name, (_, time_s) in TIMES.items()}
    now_s["product 3"] *= 4  # somebody disturbed it
    monkeypatch.setattr(References, "times_s", lambda self: now_s)
    with Pacer(calibrated(TIMES)) as pacer:
        pacer.look()
        pace = pacer.pace()
    assert pace.memory == pytest.approx(1.5, rel=0.01)
    assert pace.caches == pytest.approx(2.0, rel=0.01)
    assert pace.others == pytest.approx(0.8, rel=0.05)


def test_the_pace_is_that_of_the_last_looks(monkeypatch: pytest.MonkeyPatch):
    looks = iter({name: slower * time_s for name, (_, time_s) in TIMES.items()} for slower in (4.0, 1.0, 0.5))
    monkeypatch.setattr(References, "times_s", lambda self: next(looks))
    with Pacer(calibrated(TIMES)) as pacer:
        assert pacer.pace() == Pace()
        for _ in range(3):
            pacer.look()
        assert pacer.pace().memory == pytest.approx(1.0)
        assert (pacer.pace(2).memory, pacer.pace(2).others) == pytest.approx((0.75, 0.75))


def test_a_pace_is_looked_at_again_only_when_it_is_old(monkeypatch: pytest.MonkeyPatch):
    looks, clock = list[int](), [0.0]
    monkeypatch.setattr(Pacer, "look", lambda self: looks.append(1))
    monkeypatch.setattr("steelyard.runtime.timing.machine_drift.perf_counter", lambda: clock[0])
    with Pacer(MeasuredRates(threads=1)) as pacer:
        for clock[0], count in ((0.0, 1), (1.9, 1), (2.1, 2)):
            assert pacer.pace_now() == Pace()
            assert len(looks) == count


def test_references_that_cannot_run_are_an_error():
    with Pacer(all_references(threads=-1)) as pacer, pytest.raises(DeviceError, match="reference kernels"):
        pacer.look()


def test_references_of_another_calibration_are_an_error():
    with Pacer(calibrated(TIMES)) as pacer, pytest.raises(DeviceError, match="references_per_s") as caught:
        pacer.look()
    assert caught.value.why == "it has 16, of which this version times 0"
