from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import DropOp
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.remarks import Remark, collecting
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import IRError
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass
from steelyard.passes.annotate.target import Target, read_target
from steelyard.passes.fusion.fuse import FusePass

VECTOR = "tensor<1024xf32>"


def program(*lines: str, result: str) -> str:
    body = "\n".join(lines)
    return f"""builtin.module {{ func.func @forward(%a : {VECTOR}, %b : {VECTOR}) -> {VECTOR} {{
    {body}
    func.return {result} : {VECTOR} }} }}"""


def annotate(text: str, context: str = "eager") -> ModuleOp:
    module = parse_program(text)
    for each in (
        AnnotateCostPass(),
        AnnotateLatencyPass(device="h100-sxm", context=context),
        AnnotateMemoryPass(),
    ):
        each.apply(make_context(), module)
    return module


def fuse(module: ModuleOp) -> list[Remark]:
    with collecting() as remarks:
        FusePass().apply(make_context(), module)
    module.verify()
    return remarks


def kernels(module: ModuleOp) -> list[FusedOp]:
    return [op for op in module.walk() if isinstance(op, FusedOp)]


def test_the_gain_is_what_the_total_loses() -> None:
    module = annotate(
        program(f"%1 = aten.exp(%a) : {VECTOR}", f"%2 = aten.mul.Tensor(%1, %b) : {VECTOR}", result="%2"),
        context="graph",
    )
    before: Any = read_totals(module)["latency"]
    (remark,) = fuse(module)
    after: Any = read_totals(module)["latency"]
    assert remark.kind == "passed"
    assert remark.gain_us == pytest.approx(before["value_us"] - after["value_us"])
    assert read_target(module) == Target(device="h100-sxm", context="graph")


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (f"%2 = aten.cumsum(%1, 0) : {VECTOR}", "aten.cumsum between them reads a result"),
        (f"%2 = aten.relu_(%a) : {VECTOR}", "aten.relu_ between them changes an operand in place"),
        (
            f"%v = aten.view(%a, [1024]) : {VECTOR}\n%2 = aten.relu_(%v) : {VECTOR}",
            "aten.relu_ between them changes an operand in place",
        ),
    ],
)
def test_what_lies_between_can_keep_ops_apart(between: str, reason: str) -> None:
    module = annotate(
        program(f"%1 = aten.exp(%a) : {VECTOR}", between, f"%3 = aten.neg(%1) : {VECTOR}", result="%3")
    )
    (remark,) = fuse(module)
    assert remark.kind == "missed"
    assert remark.message.startswith(reason)
    assert not kernels(module)


def test_phases_stay_apart() -> None:
    module = annotate(
        program(
            f'%1 = aten.exp(%a) {{phase = "forward"}} : {VECTOR}',
            f'%2 = aten.neg(%1) {{phase = "backward"}} : {VECTOR}',
            result="%2",
        )
    )
    assert [remark.message.split(" (")[0] for remark in fuse(module)] == ["they are of different phases"]


def test_operands_kept_alive_for_a_kernel_do_not_raise_the_peak() -> None:
    # Where most is alive, a sum is, and not the two vectors that it is made of.
    large = "tensor<1000xf32>"
    module = annotate(f"""builtin.module {{ func.func @forward(%a : {large}) -> {large} {{
    %1 = aten.cumsum(%a, 0) : {large}
    %2 = aten.cumsum(%a, 0) : {large}
    %3 = aten.add.Tensor(%1, %2) : {large}
    %4 = aten.cumsum(%a, 0) : {large}
    %5 = aten.cumsum(%4, 0) : {large}
    %6 = aten.mul.Tensor(%3, %5) : {large}
    func.return %6 : {large} }} }}""")
    (remark,) = fuse(module)
    assert remark.message.startswith("operands kept alive longer would raise the peak")


def test_without_latencies_there_is_one_clear_error() -> None:
    module = parse_program(program(f"%1 = aten.exp(%a) : {VECTOR}", result="%1"))
    with pytest.raises(IRError, match=r"no annotated work and latency, .* fuse .*\n.*annotate-latency"):
        FusePass().apply(make_context(), module)


@given(st.lists(st.tuples(st.sampled_from(["mul.Tensor", "cumsum", "exp"]), st.integers(0), st.integers(0))))
def test_fusing_never_raises_the_peak_or_the_time(made: list[tuple[str, int, int]]) -> None:
    names, lines = ["%a", "%b"], list[str]()
    for index, (op, one, other) in enumerate(made):
        first, second = names[one % len(names)], names[other % len(names)]
        given_ = {"mul.Tensor": f"{first}, {second}", "cumsum": f"{first}, 0", "exp": first}[op]
        lines.append(f"%v{index} = aten.{op}({given_}) : {VECTOR}")
        names.append(f"%v{index}")
    module = annotate(program(*lines, result=names[-1]))
    before: Any = read_totals(module)
    fuse(module)
    after: Any = read_totals(module)
    assert after["memory"]["peak_bytes"] <= before["memory"]["peak_bytes"]
    assert after["latency"]["value_us"] <= before["latency"]["value_us"]


def test_what_was_seen_apart_stays_apart() -> None:
    def chain() -> ModuleOp:
        return annotate(
            program(
                f"%1 = aten.exp(%a) : {VECTOR}",
                f"%2 = aten.mul.Tensor(%1, %b) : {VECTOR}",
                f"%3 = aten.tanh(%2) : {VECTOR}",
                result="%3",
            )
        )

    module = chain()
    with collecting() as remarks:
        FusePass(apart=("aten.exp+aten.mul.Tensor", "aten.tanh+aten.mul.Tensor")).apply(
            make_context(), module
        )
    (kernel,) = kernels(module)
    assert [op.name for op in kernel.body.block.ops] == ["aten.mul.Tensor", "aten.tanh", "kernel.yield"]
    assert any("aten.exp and aten.mul.Tensor were measured to run apart" in each.message for each in remarks)
    whole = chain()
    fuse(whole)
    assert len(list(kernels(whole)[0].body.block.ops)) == 4


def test_a_value_that_was_freed_on_the_way_makes_no_room() -> None:
    # %1 is gone where %c2 is made, so that the two vectors kept for the kernel do not fit in its place.
    module = annotate(f"""builtin.module {{ func.func @forward(%a : {VECTOR}) -> {VECTOR} {{
    %s = aten.cumsum(%a, 0) : {VECTOR}
    %t = aten.cumsum(%s, 0) : {VECTOR}
    %1 = aten.mul.Tensor(%s, %t) : {VECTOR}
    %2 = aten.exp(%1) : {VECTOR}
    %c1 = aten.cumsum(%a, 0) : {VECTOR}
    %c2 = aten.cumsum(%c1, 0) : {VECTOR}
    %3 = aten.mul.Tensor(%2, %c2) : {VECTOR}
    func.return %3 : {VECTOR} }} }}""")
    before: Any = read_totals(module)
    remarks = fuse(module)
    after: Any = read_totals(module)
    assert after["memory"]["peak_bytes"] <= before["memory"]["peak_bytes"]
    assert [remark.kind for remark in remarks] == ["missed", "passed"]
    assert remarks[0].message.startswith("operands kept alive longer would raise the peak")


def test_a_call_between_keeps_ops_apart() -> None:
    # Inside the callee others may be alive that the results passed over the call would add to.
    module = annotate(f"""builtin.module {{
    func.func private @callee(%x : {VECTOR}) -> {VECTOR} {{
    %c = aten.cumsum(%x, 0) : {VECTOR}
    func.return %c : {VECTOR} }}
    func.func @forward(%a : {VECTOR}) -> ({VECTOR}, {VECTOR}) {{
    %1 = aten.exp(%a) : {VECTOR}
    %2 = func.call @callee(%a) : ({VECTOR}) -> {VECTOR}
    %3 = aten.neg(%1) : {VECTOR}
    func.return %3, %2 : {VECTOR}, {VECTOR} }} }}""")
    remarks = fuse(module)
    assert [remark.message.split(" (")[0] for remark in remarks] == ["a call lies between them"]
    assert not kernels(module)


def test_references_to_inputs_end_after_the_kernel() -> None:
    module = annotate(f"""builtin.module {{ func.func @forward(%a : {VECTOR}) -> {VECTOR} {{
    %0 = aten.cumsum(%a, 0) : {VECTOR}
    %1 = aten.exp(%0) : {VECTOR}
    program.drop %0 : {VECTOR}
    %2 = aten.neg(%1) : {VECTOR}
    program.drop %1 : {VECTOR}
    func.return %2 : {VECTOR} }} }}""")
    fuse(module)
    (kernel,) = kernels(module)
    drops = [op for op in module.walk() if isinstance(op, DropOp)]
    # That of %1, which is on chip, is gone; that of the input follows the kernel that reads it.
    assert [drop.value for drop in drops] == [kernel.operands[0]]
    assert kernel.is_before_in_block(drops[0])


def test_a_small_result_that_others_read_is_not_computed_again_in_a_larger_kernel() -> None:
    large = "tensor<512x1024xf32>"
    module = annotate(f"""builtin.module {{ func.func @forward(%a : {VECTOR}, %b : {large}) -> {large} {{
    %1 = aten.exp(%a) : {VECTOR}
    %2 = aten.mul.Tensor(%b, %1) : {large}
    %3 = aten.cumsum(%1, 0) : {VECTOR}
    %4 = aten.add.Tensor(%2, %3) : {large}
    func.return %4 : {large} }} }}""")
    messages = [remark.message for remark in fuse(module) if remark.kind == "missed"]
    assert "others read a result that is smaller than the space" in messages
