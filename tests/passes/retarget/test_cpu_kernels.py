"""A program for a GPU says which of its kernels only CPUs have."""

import pytest

from steelyard.compiler.dialects.program import assumptions
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.passes.retarget.retarget import RetargetPass

LAYER = """func.func @forward(%x : tensor<7x3x36xf32>, %i : tensor<192x36xf32>, %h : tensor<192x48xf32>,
    %b : tensor<192xf32>, %s : tensor<3x48xf32>) -> tensor<7x3x48xf32> {
  %o, %hy, %cy, %w = aten.mkldnn_rnn_layer(%x, %i, %h, %b, %b, %s, %s, reverse = false, batch_sizes = [],
    mode = 2, hidden_size = 48, num_layers = 1, has_biases = true, bidirectional = false, batch_first = false,
    train = false) : tensor<7x3x48xf32>, tensor<3x48xf32>, tensor<3x48xf32>, tensor<0xui8>
  func.return %o : tensor<7x3x48xf32>
}"""


@pytest.mark.parametrize(("device", "said"), [("h100-sxm", 1), ("cpu", 0)])
def test_a_kernel_of_cpus_is_named_once(device, said):
    module = parse_program(LAYER)
    for _ in range(2):
        RetargetPass(device=device).apply(make_context(), module)
    found = [each for each in assumptions(module) if "aten.mkldnn_rnn_layer (1)" in each]
    assert len(found) == said
