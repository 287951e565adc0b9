import pytest

from steelyard.compiler.analysis.allocation_trace import allocations, first_step
from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.allocators.cpu import CpuAllocator
from steelyard.passes.memory.allocator_replay import replay
from steelyard.passes.structure.outline import OutlinePass
from steelyard.runtime.program.load import load_program

TWO_CALLS = """
func.func @forward(%x : tensor<4xf32> {program.role = "input"}) -> tensor<4xf32> {
  %0 = func.call @f(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = func.call @f(%0) : (tensor<4xf32>) -> tensor<4xf32>
  func.return %1 : tensor<4xf32>
}
func.func private @f(%x : tensor<4xf32>) -> tensor<4xf32> {
  %0 = aten.relu(%x) : tensor<4xf32>
  %1 = aten.tanh(%0) : tensor<4xf32>
  func.return %1 : tensor<4xf32>
}
"""


def test_events_follow_calls():
    events = [(e.storage, e.bytes, len(e.at)) for e in allocations(Analyses(parse_program(TWO_CALLS)))]
    assert events == [
        (0, 16, 0),  # the argument, which stays
        (1, 16, 2),  # relu
        (2, 16, 2),  # tanh, after which the relu goes
        (1, -16, 2),
        (3, 16, 2),
        (4, 16, 2),
        (3, -16, 2),
        (
            2,
            -16,
            1,
        ),  # the first call keeps what it is given, so the function may not free it: the caller does
    ]


@pytest.fixture(scope="module")
def training_step():
    return load_program("hf:gpt2?n_layer=4&n_embd=32&n_head=2&vocab_size=64", {"train": True, "sequence": 16})


def test_workspace_goes_at_once():
    events = [
        e.bytes
        for e in allocations(
            Analyses(parse_program(TWO_CALLS)), lambda op: 100 if op.name == "aten.tanh" else 0
        )
    ]
    assert events.count(100) == events.count(-100) == 2


def test_replay_has_the_peak_of_liveness_flat_and_outlined(training_step):
    module = training_step.clone()
    peak = liveness(module).peak_bytes
    assert replay([[*allocations(Analyses(module))]], CpuAllocator()).peak.requested == peak
    OutlinePass().apply(make_context(), module)
    assert replay([[*allocations(Analyses(module))]], CpuAllocator()).peak.requested == peak


def test_first_step_makes_the_optimizer_state_late(training_step):
    events = [*allocations(Analyses(training_step))]
    first = first_step(Analyses(training_step), events)
    assert sum(e.bytes for e in first) == sum(e.bytes for e in events)
    run = replay([first, events], CpuAllocator())
    parts = len(first)
    assert run.moments[parts - 1].requested <= run.peak.requested
    assert max(m.requested for m in run.moments[:parts]) < max(m.requested for m in run.moments[parts:])
