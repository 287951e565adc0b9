"""Emission of programs: only ops that compute are run."""

import pytest

from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.emit.fx import emit_graph
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import ExecutionError

PROGRAM = """
func.func @forward(%x : tensor<4xf32>) -> tensor<4xf32> {{
  {op}
  func.return %x : tensor<4xf32>
}}
"""
TOUCHING = (
    '%f = aten.from_file("precious.bin", shared = 1, size = 4) : tensor<4xf32>',
    'aten._print("told")',
    "aten.set_grad_enabled(1)",
    "aten.manual_seed(1)",
)


@pytest.mark.parametrize("op", TOUCHING)
def test_an_op_that_touches_more_than_tensors_is_not_run(op):
    module = parse_program(PROGRAM.format(op=op))
    with pytest.raises(ExecutionError, match="is not run"):
        emit_graph(entry_function(module))


def test_an_op_that_computes_is():
    graph = emit_graph(entry_function(parse_program(PROGRAM.format(op="%y = aten.relu(%x) : tensor<4xf32>"))))
    assert any("relu" in node.name for node in graph.nodes)
