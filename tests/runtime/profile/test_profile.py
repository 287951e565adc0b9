import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice, repeat
from pathlib import Path

import pytest
import torch

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import DeviceError, ExecutionError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.latency.profile_store import ProfileStore
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.runtime.profile.profile import ROUNDS, profile
from steelyard.runtime.program.load import load_costed
from steelyard.runtime.report.format_profile import format_table, trace
from steelyard.runtime.timing.isolated_op import time_on_cpu, time_on_cuda
from steelyard.runtime.timing.random_operands import Runnable

TINY = "hf:gpt2?n_layer=2&n_embd=32&n_head=2&vocab_size=100"
PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %i: tensor<4xi64>) -> tensor<4x8xf32> {
    %0 = aten.mm(%x, %w) : tensor<4x8xf32>
    %1 = aten.mm(%0, %w) : tensor<4x8xf32>
    %2 = aten.t(%w) : tensor<8x8xf32>
    %3 = aten.mm(%1, %2) : tensor<4x8xf32>
    %4 = aten.embedding(%3, %i) : tensor<4x8xf32>
    %5 = aten.mul_.Tensor(%4, %x) : tensor<4x8xf32>
    func.return %5 : tensor<4x8xf32>
  }
}
"""
PRODUCT = """
builtin.module {
  func.func @forward(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
    %0 = aten.mm(%x, %w) : tensor<4x8xf32>
    func.return %0 : tensor<4x8xf32>
  }
}
"""
CPU = load_device("cpu")


def costed(text: str = PROGRAM):
    module = parse_program(text)
    AnnotateCostPass().apply(make_context(), module)
    return module


class LatencyModel:
    """Runs an op as a real timer does, and says that calls took so many ms each."""

    def __init__(self, times_ms: Iterable[float] = repeat(1.0)) -> None:
        self.timed = 0
        self._times_ms = iter(times_ms)

    def __call__(self, op: Runnable, repeats: int) -> list[float]:
        self.timed += 1
        for _ in range(2):
            op.restore()
            op.run()
        return [1e-3 * each for each in islice(self._times_ms, repeats)]


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore(tmp_path / "profiles.sqlite")


def test_each_distinct_op_is_measured_in_each_round_and_views_never(store):
    clock = LatencyModel()
    found = profile(costed(), CPU, store, timer=clock)
    counts = {each.signature: each.count for each in found.ops}
    assert counts == {
        "aten.mm(f32[4x8], f32[8x8])": 2,
        "aten.mm(f32[4x8], t(f32[8x8]))": 1,
        "aten.embedding(f32[4x8], i64[4])": 1,
        "aten.mul_.Tensor(f32[4x8], f32[4x8])": 1,
    }
    assert found.new == len(found.ops)
    assert clock.timed == ROUNDS * found.new
    assert not found.failed


def test_a_second_run_skips_what_is_known(store):
    first = profile(costed(), CPU, store, timer=LatencyModel())
    clock = LatencyModel()
    again = profile(costed(), CPU, store, timer=clock)
    assert clock.timed == again.new == 0
    assert again.measured == first.measured


def test_repeats_of_all_rounds_make_the_interval(store):
    found = profile(costed(PRODUCT), CPU, store, repeats=39, timer=LatencyModel(range(1, 40)))
    (one,) = found.measured.values()
    # Of 39 calls the second and the last but one enclose nine in ten of others: ranks 2 and 38 of 40.
    assert (one.min_s, one.low_s, one.median_s, one.high_s) == pytest.approx((1e-3, 2e-3, 20e-3, 38e-3))
    assert (one.kind, one.dims, one.repeats) == ("gemm", "b=1 m=4 n=8 k=8", 39)
    few = profile(costed(), CPU, ProfileStore(store.path.with_name("few")), repeats=1, timer=LatencyModel())
    assert all((each.low_s, each.high_s, each.repeats) == (1e-3, 1e-3, 1) for each in few.measured.values())


def test_what_spoils_one_round_does_not_spoil_the_median(store):
    times_ms = [1.0, 1.0, 9.0, 9.0, 1.0, 1.0]
    found = profile(costed(PRODUCT), CPU, store, repeats=6, timer=LatencyModel(times_ms))
    assert [each.median_s for each in found.measured.values()] == pytest.approx([1e-3])


def test_an_interrupted_profile_keeps_what_it_has(store):
    def timer(op: Runnable, repeats: int) -> list[float]:
        if store.of("cpu", "eager"):
            raise KeyboardInterrupt
        return [1e-3] * repeats

    with pytest.raises(KeyboardInterrupt):
        profile(costed(), CPU, store, repeats=6, timer=timer)
    (kept,) = store.of("cpu", "eager")
    assert (kept.op, kept.repeats) == ("aten.mm", 2)


def test_the_total_is_hand_arithmetic(store):
    found = trace(profile(costed(), CPU, store, repeats=3, timer=LatencyModel()), CPU, "tiny")
    assert found["total"]["ops"] == 5
    assert found["total"]["measured_ms"] == pytest.approx(5 * 1.0)
    assert found["total"]["predicted_ms"] == pytest.approx(
        sum(each["count"] * each["predicted_ms"] for each in found["ops"])
    )
    product = found["ops"][0]
    assert product["work"]["contraction_flops"] == 2 * 4 * 8 * 8
    assert product["ratio"] == pytest.approx(product["predicted_ms"])
    json.dumps(found)


def test_what_was_measured_does_not_predict_itself(store, monkeypatch):
    monkeypatch.setenv("STEELYARD_PROFILES", str(store.path))
    first = profile(costed(), CPU, store, timer=LatencyModel())
    again = profile(costed(), CPU, store, timer=LatencyModel())
    assert [each.predicted_s for each in again.ops] == [each.predicted_s for each in first.ops]


def test_an_op_that_cannot_run_by_itself_is_reported_and_the_rest_goes_on(store):
    clock = LatencyModel()

    def timer(op: Runnable, repeats: int) -> list[float]:
        if clock.timed == 1:
            clock.timed += 1
            raise RuntimeError("no such kernel\nand a trace")
        return clock(op, repeats)

    found = profile(costed(), CPU, store, timer=timer)
    assert found.failed == {"aten.mm(f32[4x8], t(f32[8x8]))": "no such kernel"}
    assert found.new == len(found.ops) - 1 == len(store.of("cpu", "eager"))
    assert format_table(found, CPU, "tiny").count(" - ") == 2  # neither a time nor a ratio


def test_an_op_that_fails_in_a_later_round_keeps_what_it_has(store):
    def timer(op: Runnable, repeats: int) -> list[float]:
        if store.of("cpu", "eager"):
            raise RuntimeError("out of memory")
        return [1e-3] * repeats

    found = profile(costed(PRODUCT), CPU, store, repeats=6, timer=timer)
    assert (found.new, found.failed) == (1, {})
    assert [each.repeats for each in found.measured.values()] == [2]


def test_an_op_that_torch_lacks_is_an_error(store):
    text = PROGRAM.replace("aten.mm(%1, %2)", 'torch.op "mylib::mystery(Tensor x) -> Tensor"(%1)')
    with pytest.raises(ExecutionError, match=r"mylib\.mystery"):
        profile(costed(text), CPU, store, timer=LatencyModel())


def test_every_op_of_a_training_step_runs_by_itself(store):
    for optimizer in ("adamw", "sgd"):
        module = load_costed(TINY, {"train": True, "optimizer": optimizer, "sequence": 16})
        found = profile(module, CPU, store, repeats=1, timer=LatencyModel())
        assert not found.failed
        assert len(found.measured) >= len(found.ops) > 10


def test_what_an_op_writes_has_its_first_values_before_each_call():
    values = torch.tensor([1.0, 2.0])
    before = values.clone()
    seen = list[float]()

    def run() -> None:
        seen.append(values.sum().item())
        values.mul_(3.0)

    times_s = time_on_cpu(Runnable(run, lambda: values.copy_(before)), repeats=3)
    assert len(times_s) == 3
    assert Counter(seen[-3:]) == {3.0: 3}


def test_a_device_that_is_not_here_is_an_error(store, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="cannot be profiled") as caught:
        profile(costed(), load_device("t4"), store)
    assert "no CUDA device" in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_stream_of_calls_on_a_gpu():
    x = torch.rand(1024, 1024, device="cuda")
    times_s = time_on_cuda(Runnable(lambda: x @ x, lambda: None), repeats=3)
    assert len(times_s) == 3
    assert min(times_s) > 0
