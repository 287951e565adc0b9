"""Events of a small training step, counted by hand."""

import pytest

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.allocators.cpu import CpuAllocator
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.memory.allocator_replay import replay, requests
from steelyard.passes.memory.step_memory import StepMemory, step_memory
from steelyard.passes.memory.zero import Zero

STEP = """
builtin.module {
  func.func @step(%w : tensor<64x64xf32> {program.role = "parameter", program.path = "h.0.weight"},
                  %m : tensor<64x64xf32> {program.role = "optimizer_state",
                                          program.path = "h.0.weight.momentum"},
                  %x : tensor<32x64xf32> {program.role = "input", program.path = "x"},
                  %t : tensor<32x64xf32> {program.role = "target", program.path = "t"}) {
    %1 = func.call @forward(%x, %w) {path = "h.0"}
      : (tensor<32x64xf32>, tensor<64x64xf32>) -> tensor<32x64xf32>
    %2 = aten.sub.Tensor(%1, %t) {phase = "loss", source = "loss.py:3"} : tensor<32x64xf32>
    %3 = aten.tanh_backward(%2, %1) {phase = "backward", path = "h.0", source = "m.py:9"} : tensor<32x64xf32>
    %4 = aten.t(%3) {phase = "backward", path = "h.0"} : tensor<64x32xf32>
    %g = aten.mm(%4, %x) {phase = "backward", path = "h.0", source = "m.py:8"} : tensor<64x64xf32>
    aten._fused_sgd_([%w], [%g], [%m], weight_decay = 0.0, momentum = 0.9, lr = 0.1, dampening = 0.0,
                     nesterov = false, maximize = false, is_first_step = false) {phase = "optimizer"}
    func.return
  }
  func.func private @forward(%x : tensor<32x64xf32>, %w : tensor<64x64xf32>) -> tensor<32x64xf32> {
    %1 = aten.mm(%x, %w) {phase = "forward", path = "inner", source = "m.py:8"} : tensor<32x64xf32>
    %2 = aten.tanh(%1) {phase = "forward", path = "inner", source = "m.py:9"} : tensor<32x64xf32>
    func.return %2 : tensor<32x64xf32>
  }
}
"""
WEIGHT, ROWS = 64 * 64 * 4, 32 * 64 * 4
CUBLAS = 8_519_680


def memory_on(device: str) -> StepMemory:
    module = parse_program(STEP)
    AnnotateCostPass().apply(make_context(), module)
    return step_memory(Analyses(module), load_device(device))


def test_every_storage_has_its_category_through_calls():
    memory = memory_on("cpu")
    made = [
        (memory.category(e.storage), memory.owners[e.storage].path, memory.owners[e.storage].source, e.bytes)
        for e in memory.steady
        if e.bytes > 0
    ]
    assert made == [
        ("parameter", "h.0.weight", "", WEIGHT),
        ("optimizer_state", "h.0.weight.momentum", "", WEIGHT),
        ("input", "x", "", ROWS),
        ("input", "t", "", ROWS),
        ("temporary", "h.0.inner", "m.py:8", ROWS),
        ("activation", "h.0.inner", "m.py:9", ROWS),  # the backward is outside the call that makes it
        ("activation", "", "loss.py:3", ROWS),
        ("temporary", "h.0", "m.py:9", ROWS),
        ("gradient", "h.0", "m.py:8", WEIGHT),
    ]


def test_cublas_takes_its_workspace_at_the_first_call_of_each_thread_and_keeps_it():
    memory = memory_on("t4")
    first = [(n, e.at[-1].name, e.bytes) for n, e in enumerate(memory.first) if e.storage < 0]
    assert [(name, size) for _, name, size in first] == [("aten.mm", CUBLAS)] * 2
    assert [e.bytes for e in memory.steady if e.storage < 0 and not e.at] == [CUBLAS] * 2
    run = replay(memory.steps, CpuAllocator())
    end = run.moments[-1].requested
    assert end == 2 * CUBLAS + 2 * WEIGHT + 2 * ROWS
    assert not any(e.storage < 0 for e in memory_on("cpu").steady)


def test_a_second_step_finds_what_the_first_has_left():
    asked = [*requests(memory_on("t4").steps)]
    assert sum(e.bytes for e in asked) == 2 * CUBLAS + 2 * WEIGHT + 2 * ROWS
    assert [e.bytes for e in asked if e.storage == 0] == [WEIGHT]


@pytest.mark.parametrize(
    ("stage", "resident"),
    # two cuBLAS workspaces, inputs; a quarter of what is shared; two buckets, and one block from stage 3 on
    [
        (1, WEIGHT + WEIGHT // 4 + 2 * WEIGHT),
        (2, WEIGHT + WEIGHT // 4 + 2 * WEIGHT),
        (3, 2 * WEIGHT // 4 + 2 * WEIGHT + WEIGHT),
    ],
)
def test_zero_keeps_a_part_of_what_it_shares(stage, resident):
    shared = Zero(stage, 4).memory(memory_on("t4"))
    run = replay(shared.steps, CpuAllocator())
    assert run.moments[-1].requested == 2 * CUBLAS + 2 * ROWS + resident


def test_a_gradient_is_whole_only_until_it_is_sent():
    shared = Zero(2, 4).memory(memory_on("cpu"))
    made = [
        (shared.category(e.storage), e.bytes) for e in shared.steady if e.at and e.at[-1].name == "aten.mm"
    ]
    sent = [("communication", WEIGHT), ("gradient", WEIGHT // 4), ("communication", -WEIGHT)]
    assert made[made.index(sent[0]) :][:3] == sent


def test_gradients_that_are_kept_are_there_from_the_second_step_on():
    memories = memory_on("cpu"), memory_on("cpu").with_kept_gradients()
    run, kept = (replay(each.steps, CpuAllocator()) for each in memories)
    first, first_kept = (
        max(moment.requested for moment in each.moments[: len(memory.first)])
        for each, memory in zip((run, kept), memories, strict=True)
    )
    assert first == first_kept
    # at the peak a fresh gradient is added to the one that was kept
    assert kept.peak.requested == run.peak.requested + WEIGHT
    assert kept.moments[-1].requested == run.moments[-1].requested + WEIGHT


def test_zero_sends_each_parameter_once_more_in_stage_3():
    device, memory = load_device("a100-80gb-sxm"), memory_on("a100-80gb-sxm")
    second, third = (Zero(stage, 8).communication_s(memory, device) for stage in (2, 3))
    assert third == pytest.approx(1.5 * second)


@pytest.mark.parametrize(("stage", "ranks", "says"), [(4, 8, "no stage 4"), (1, 1, "at least two")])
def test_zero_that_there_is_not(stage, ranks, says):
    with pytest.raises(UsageError, match=says):
        Zero(stage, ranks)
