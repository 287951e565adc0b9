import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.remarks import Remark, collecting
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import DeviceError, IRError, UsageError
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.target import Target
from steelyard.passes.rematerialize.offload import OffloadPass
from steelyard.passes.rematerialize.recompute import RecomputePass
from steelyard.passes.structure.outline import OutlinePass

SHARED = [HealthCheck.function_scoped_fixture]


def rewrite(module: ModuleOp, by: ModulePass) -> tuple[ModuleOp, list[Remark]]:
    copy = module.clone()
    with collecting() as remarks:
        by.apply(make_context(), copy)
    copy.verify()
    return copy, remarks


def step_us(module: ModuleOp) -> float:
    latency: Any = read_totals(module)["latency"]
    return latency["value_us"]


def peak_of(remark: Remark) -> int:
    found = re.search(r"peak of (\d+) bytes", remark.message)
    assert found
    return int(found[1])


@settings(max_examples=25, deadline=None, suppress_health_check=SHARED)
@given(
    st.integers(2, 7), st.sampled_from([64, 256]), st.sampled_from([RecomputePass, OffloadPass]), st.data()
)
def test_what_is_said_of_a_plan_is_what_the_program_is_annotated_with(chain, layers, rows, kind, data):
    module = chain(layers, rows)
    before, at_most = liveness(module).peak_bytes, data.draw(st.floats(0.4, 1.0))
    try:
        rewritten, remarks = rewrite(module, kind(budget=at_most))
    except UsageError as error:
        assert "at the least" in str(error)
        return
    done = remarks[-1]
    assert done.gain_us == pytest.approx(step_us(module) - step_us(rewritten), abs=1e-3)
    assert peak_of(done) == liveness(rewritten).peak_bytes <= before


def test_more_memory_never_takes_more_time_and_the_peak_is_within_the_budget(chain):
    module = chain(12, 4096)
    before = liveness(module).peak_bytes
    for kind in (RecomputePass, OffloadPass):
        times = []
        for tenths in range(5, 11):
            rewritten, _ = rewrite(module, kind(budget_bytes=before * tenths // 10))
            assert liveness(rewritten).peak_bytes <= before * tenths // 10
            times.append(step_us(rewritten))
        assert times == sorted(times, reverse=True)
        assert times[-1] == step_us(module)
        assert times[0] > times[-1]


def test_no_baseline_is_faster_at_its_own_peak(chain):
    module = chain(12, 4096)
    _, remarks = rewrite(module, RecomputePass(budget=1.0))
    baselines = [remark for remark in remarks if remark.kind == "analysis"]
    assert [remark.message.split()[0] for remark in baselines] == ["none", "full", "selective", "min-cut"]
    for baseline in baselines:
        rewritten, _ = rewrite(module, RecomputePass(budget_bytes=peak_of(baseline)))
        assert baseline.gain_us is not None
        assert step_us(rewritten) - step_us(module) <= -baseline.gain_us + 1e-3


def test_offload_is_never_slower_than_recompute_and_faster_where_layers_are_long(chain):
    module = chain(12, 65536, 1024)
    budget = liveness(module).peak_bytes * 8 // 10
    alone, _ = rewrite(module, RecomputePass(budget_bytes=budget))
    jointly, remarks = rewrite(module, OffloadPass(budget_bytes=budget))
    assert step_us(jointly) < step_us(alone)
    assert "go to the host" in remarks[-1].message


def test_a_budget_that_no_plan_meets_says_the_least_that_one_does(chain):
    module = chain(6, 1024)
    with pytest.raises(UsageError, match="no plan keeps the peak within 1000 bytes") as raised:
        rewrite(module, RecomputePass(budget_bytes=1000))
    assert raised.value.fix
    size, share = re.findall(r"[\d.]+", raised.value.fix)
    assert liveness(rewrite(module, RecomputePass(budget_bytes=int(size)))[0]).peak_bytes == int(size)
    assert liveness(rewrite(module, RecomputePass(budget=float(share)))[0]).peak_bytes == int(size)
    with pytest.raises(UsageError):
        rewrite(module, RecomputePass(budget_bytes=int(size) - 1))


def test_a_program_without_a_forward_keeps_what_it_has():
    module = parse_program("""
func.func @step(%x : tensor<8x4xf32> {program.role = "input"}) -> tensor<8x4xf32> {
  %1 = aten.t(%x) {phase = "backward"} : tensor<4x8xf32>
  %2 = aten.relu(%x) {phase = "backward"} : tensor<8x4xf32>
  func.return %2 : tensor<8x4xf32>
}""")
    annotate(module, Target(device="h100-sxm"))
    RecomputePass(budget=1.0).apply(make_context(), module)
    assert [op.name for op in module.walk()][-3:] == ["aten.t", "aten.relu", "func.return"]


def test_without_latencies_it_says_what_to_run(chain):
    module = parse_program(re.sub(r", cost\.latency = #cost\.latency<[^>]*>", "", format_program(chain(2))))
    module.attributes.clear()
    AnnotateCostPass().apply(make_context(), module)
    for kind in (RecomputePass, OffloadPass):
        with pytest.raises(IRError, match="annotated latency") as raised:
            rewrite(module, kind())
        assert kind.name in str(raised.value)


def test_an_outlined_program_gets_the_same_plan(chain):
    module = chain(8, 1024)
    outlined = module.clone()
    OutlinePass().apply(make_context(), outlined)
    assert "func.call" in format_program(outlined)
    flat, _ = rewrite(module, RecomputePass(budget=0.6))
    again, _ = rewrite(outlined, RecomputePass(budget=0.6))
    assert liveness(again).peak_bytes == liveness(flat).peak_bytes
    assert step_us(again) == pytest.approx(step_us(flat))


@pytest.mark.parametrize("op", ["aten.bernoulli(%x)", "aten.relu_(%x)"])
def test_random_and_in_place_results_stay(op: str):
    tensor = "tensor<1024xf32>"
    text = f"""builtin.module {{ func.func @step(%a : {tensor}) -> {tensor} {{
        %x = aten.exp(%a) {{phase = "forward"}} : {tensor}
        %y = {op} {{phase = "forward"}} : {tensor}
        %z = aten.exp(%y) {{phase = "forward"}} : {tensor}
        %g = aten.mul.Tensor(%z, %y) {{phase = "backward"}} : {tensor}
        func.return %g : {tensor} }} }}"""
    module = parse_program(text)
    AnnotateCostPass().apply(make_context(), module)
    AnnotateLatencyPass(device="h100-sxm", context="graph").apply(make_context(), module)
    with pytest.raises(UsageError) as raised:
        RecomputePass(budget_bytes=0).apply(make_context(), module)
    assert raised.value.fix
    least = int(re.findall(r"\d+", raised.value.fix)[0])
    RecomputePass(budget_bytes=least).apply(make_context(), module)
    again = [line for line in format_program(module).splitlines() if "recomputed" in line]
    assert not any("bernoulli" in line or "relu_" in line for line in again)


def test_offload_refuses_a_device_without_a_host_and_too_short_a_distance(chain):
    with pytest.raises(DeviceError, match="no link to a host"):
        rewrite(chain(2, device="cpu"), OffloadPass())
    with pytest.raises(UsageError, match="at least 1"):
        rewrite(chain(2), OffloadPass(ahead=0.5))


def test_a_longer_distance_brings_copies_back_earlier(chain):
    module = chain(12, 65536, 1024)
    budget = liveness(module).peak_bytes * 8 // 10

    def places(ahead: float) -> list[int]:
        rewritten, _ = rewrite(module, OffloadPass(budget_bytes=budget, ahead=ahead))
        ops = [op.name for op in entry_function(rewritten).body.block.ops]
        return [index for index, name in enumerate(ops) if name == "host.fetch"]

    assert sum(places(3.0)) / len(places(3.0)) < sum(places(1.0)) / len(places(1.0))
