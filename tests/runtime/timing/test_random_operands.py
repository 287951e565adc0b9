import pytest

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.text import parse_program
from steelyard.runtime.timing.random_operands import make_runnable

PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<2x3xf32>, %w: tensor<3x5xf32>) -> tensor<2x5xf32> {
    %0 = aten.relu(%x) : tensor<2x3xf32>
    %1 = aten.mm(%0, %w) : tensor<2x5xf32>
    %2 = aten.t(%1) : tensor<5x2xf32>
    %3 = aten.mm(%2, %0) : tensor<5x3xf32>
    %4 = aten.mm(%1, %3) : tensor<2x3xf32>
    %5 = aten.mm(%0, %w) : tensor<2x5xf32>
    func.return %5 : tensor<2x5xf32>
  }
}
"""


@pytest.mark.parametrize(
    ("index", "shapes"),
    [
        (0, []),  # an argument
        (1, [(2, 3)]),  # what relu wrote, not the weight
        (3, [(5, 2)]),  # through a view; relu's result is older
        (4, [(5, 3)]),
        (5, []),  # all of its operands are older
    ],
)
def test_what_the_kernel_before_it_wrote_is_told_apart(index, shapes):
    ops = [op for op in parse_program(PROGRAM).walk() if isinstance(op, TorchOp)]
    found = make_runnable(ops[index], OpInfoCache(), "cpu").produced
    assert [tuple(each.shape) for each in found] == shapes
