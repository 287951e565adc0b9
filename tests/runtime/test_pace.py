"""The pace of this machine: what it does to a prediction, and that its reference kernels are timed."""

from datetime import date
from time import sleep

import pytest
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.context import make_context
from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr, LatencyEstimate
from steelyard.compiler.text import parse_program
from steelyard.hw.errors import DeviceError
from steelyard.hw.quantity import Rate, Source
from steelyard.hw.sustained import Sustained
from steelyard.hw.work import WorkKind
from steelyard.passes.annotate_cost import AnnotateCostPass
from steelyard.runtime.pace import Pacer, slowdown, time_with_pace

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


def test_each_kind_of_kernel_takes_as_many_times_as_long_as_its_references(module: ModuleOp):
    pace: dict[WorkKind, float] = {"contraction": 2.0, "pointwise": 0.5, "copy": 3.0}
    assert slowdown(module, pace) == pytest.approx((60 * 2 + 30 / 2 + 10 * 3) / 100)


def test_a_kind_without_references_is_as_slow_as_all_of_them(module: ModuleOp):
    pace: dict[WorkKind, float] = {"contraction": 2.0, "pointwise": 0.5}
    assert slowdown(module, pace) == pytest.approx((60 * 2 + 30 / 2 + 10 * 1) / 100)


def test_without_a_pace_the_prediction_stands(module: ModuleOp):
    assert slowdown(module, {}) == 1


def sustained(threads: int) -> Sustained:
    source = Source(title="made up", date=date(2026, 1, 1))
    known = Rate(value=1e12, kind="assumed", source=source)  # beside which every machine is slow
    return Sustained(threads=threads, references_per_s={"contraction": known, "copy": known})


def test_references_run_beside_the_steps_of_a_calibrated_machine():
    time_s, pace = time_with_pace(lambda: sleep(0.05), sustained(1), least_s=0.0)
    assert time_s >= 0.05
    assert set(pace) == {"contraction", "copy"}
    assert all(slower > 1 for slower in pace.values())


def test_a_machine_that_was_not_calibrated_has_no_pace():
    assert time_with_pace(lambda: sleep(0.05), Sustained(threads=1), least_s=0.0)[1] == {}


def test_the_pace_is_that_of_the_last_looks(monkeypatch: pytest.MonkeyPatch):
    found_per_s = iter([0.25e12, 1e12, 2e12])
    monkeypatch.setattr("steelyard.runtime.pace.json.loads", lambda _: {"copy": next(found_per_s)})
    with Pacer(sustained(1)) as pacer:
        assert pacer.pace() == {}
        for _ in range(3):
            pacer.look()
        assert pacer.pace() == {"copy": 1.0}
        assert pacer.pace(2) == {"copy": pytest.approx(1 / 1.5)}


def test_a_pace_is_looked_at_again_only_when_it_is_old(monkeypatch: pytest.MonkeyPatch):
    looks, clock = list[int](), [0.0]
    monkeypatch.setattr(Pacer, "look", lambda self: looks.append(1))
    monkeypatch.setattr("steelyard.runtime.pace.perf_counter", lambda: clock[0])
    with Pacer(Sustained(threads=1)) as pacer:
        for clock[0], count in ((0.0, 3), (9.0, 3), (11.0, 6)):
            assert pacer.pace_now() == {}
            assert len(looks) == count


def test_references_that_cannot_run_are_an_error():
    with Pacer(sustained(-1)) as pacer, pytest.raises(DeviceError, match="reference kernels"):
        pacer.look()
