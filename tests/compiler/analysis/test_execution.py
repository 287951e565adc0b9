"""The order in which ops run through calls, and the numbers of the values that they pass on."""

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.execution import execution
from steelyard.compiler.ir.text import parse_program

TWO_CALLS = """builtin.module {
  func.func @block(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %1 = aten.exp(%x) : tensor<4xf32>
    func.return %1, %x : tensor<4xf32>, tensor<4xf32>
  }
  func.func @forward(%x: tensor<4xf32>) -> tensor<4xf32> {
    %1, %a = func.call @block(%x) {path = "0"} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
    %2, %b = func.call @block(%1) {path = "1"} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
    %3 = aten.add.Tensor(%2, %a) : tensor<4xf32>
    func.return %3 : tensor<4xf32>
  }
}"""


def test_an_op_runs_once_for_each_call_and_makes_another_value_each_time():
    runs = [*execution(call_graph(parse_program(TWO_CALLS)))]
    first, second, last = runs
    assert [run.op.name for run in runs] == ["aten.exp", "aten.exp", "aten.add.Tensor"]
    assert first.op is second.op
    assert [len(run.calls) for run in runs] == [1, 1, 0]
    assert first.calls[0] is not second.calls[0]
    assert second.operands == first.results != second.results
    # An argument that a function returns keeps its number.
    assert last.operands == (*second.results, *first.operands)
