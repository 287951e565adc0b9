import pytest
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.dialects.cost import WORK, UnknownAttr, WorkAttr, WorkCounts
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.remarks import Remark, collecting
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import IRError
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass

UNKNOWN = """
builtin.module {
  func.func @forward(%a : tensor<4xf32>) -> tensor<4xf32> {
    %1 = torch.op "mylib::scale(Tensor x, float by) -> Tensor"(%a, by = 2.0)
      {path = "head", source = "model.py:7"} : tensor<4xf32>
    %2 = torch.op "mylib::scale(Tensor x, float by) -> Tensor"(%1, by = 3.0) : tensor<4xf32>
    %3 = aten.relu(%2) : tensor<4xf32>
    func.return %3 : tensor<4xf32>
  }
}
"""
FUSED = """
builtin.module {
  func.func @forward(%a : tensor<4xf32>, %b : tensor<4xf32>) -> tensor<4xf32> {
    %1 = "kernel.fused"(%a, %b) ({
    ^bb0(%x : tensor<4xf32>, %y : tensor<4xf32>):
      %2 = aten.mul.Tensor(%x, %y) : tensor<4xf32>
      %3 = aten.exp(%2) : tensor<4xf32>
      "kernel.yield"(%3) : (tensor<4xf32>) -> ()
    }) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %1 : tensor<4xf32>
  }
}
"""


def annotate(text: str, strict: bool = False) -> ModuleOp:
    module = parse_program(text)
    AnnotateCostPass(strict=strict).apply(make_context(), module)
    return module


def test_an_unknown_op_is_counted_and_told_once() -> None:
    with collecting() as remarks:
        module = annotate(UNKNOWN)
    first = entry_function(module).body.block.first_op
    assert first is not None
    assert first.attributes[WORK] == UnknownAttr()
    assert read_totals(module)["work"]["coverage"] == {"ops": 3, "costed": 1, "unknown": 2}
    message = "its work is not known; docs/howto/add-an-op.md says how to add it"
    assert remarks == [Remark("annotate-cost", "unknown", "mylib.scale", "head (model.py:7)", message)]


def test_an_unknown_op_is_an_error_where_that_is_asked_for() -> None:
    with pytest.raises(IRError, match=r"the work of mylib.scale is not known\n  at: head \(model.py:7\)"):
        annotate(UNKNOWN, strict=True)


def test_an_op_of_unknown_work_has_no_latency() -> None:
    module = annotate(UNKNOWN)
    AnnotateLatencyPass(device="h100-sxm").apply(make_context(), module)
    ops = [*entry_function(module).body.block.ops]
    assert ["cost.latency" in op.attributes for op in ops] == [False, False, True, False]


def test_a_fused_kernel_moves_only_what_it_is_given_and_gives() -> None:
    kernel = entry_function(annotate(FUSED)).body.block.first_op
    assert kernel is not None
    assert kernel.attributes[WORK] == WorkAttr(
        WorkCounts(
            kind="pointwise",
            dtype="f32",
            pointwise_flops=4,
            transcendental_flops=4,
            bytes_read=32,
            bytes_written=16,
            bytes_unique=48,
        )
    )


def test_a_fused_kernel_is_one_launch() -> None:
    module = annotate(FUSED)
    AnnotateLatencyPass(device="h100-sxm", context="graph").apply(make_context(), module)
    kernel = entry_function(module).body.block.first_op
    assert kernel is not None
    assert read_totals(module)["latency"]["value_us"] == kernel.attributes["cost.latency"].data.value_us


def test_latency_needs_the_work() -> None:
    with pytest.raises(IRError, match="run annotate-cost before"):
        AnnotateLatencyPass(device="h100-sxm").apply(make_context(), parse_program(UNKNOWN))
