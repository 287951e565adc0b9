"""Types that contradict an op's description: refused with both numbers."""

import pytest
import torch

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import record
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import unknown_ops
from steelyard.hw.base.errors import IRError
from steelyard.passes.annotate.work import annotate_work

WINDOW = (
    "stride = [1, 1], padding = [1, 1], dilation = [1, 1], transposed = false, output_padding = [0, 0],"
    " groups = 1"
)
CONTRADICTIONS = [
    ("8x64xf32", "64x16xf32", "aten.mm(%a, %b)", "1x1xf32", "m is 8 elsewhere and 1 here"),
    ("8x64xf32", "64x16xf32", "aten.mm(%a, %b)", "8x17xf32", "n is 16 elsewhere and 17 here"),
    ("8x64xf32", "64x16xf32", "aten.mm(%a, %b)", "8x16xf64", "element type f64"),
    ("8x64xf32", "64x16xi1", "aten.mm(%a, %b)", "8x16xf32", "different element types"),
    ("8x64xf32", "1xf32", "aten.view(%a, [3, 3])", "3x3xf32", "512 elements has 9"),
    ("8x64xf32", "1xf32", "aten.view(%a, [4, 128])", "8x64xf32", "size states 4"),
    ("8x64xf32", "1xf32", "aten.t(%a)", "8x64xf32", "result0 has 8 elements along dim 0"),
    ("8x64xf32", "1xf32", "aten.permute(%a, [1, 0])", "8x64xf32", "result0 has 8 elements along dim 0"),
    ("8x64xf32", "1xf32", "aten.sum.dim_IntList(%a, [9])", "8xf32", "dim is 9"),
    ("8x64xf32", "4xf32", "aten.embedding(%a, %b)", "4x64xf32", "not integers"),
    ("8xf32", "8xf32", "aten.cat([], 0)", "8xf32", "list of tensors is empty"),
    (
        "1x8x4x4xf32",
        "8x8x3x3xf32",
        f"aten.convolution(%a, %b, {WINDOW})",
        "1x9x4x4xf32",
        "9 elements along dim 1",
    ),
    ("2x9999999999xf32", "9999999999x9999999999xf32", "aten.mm(%a, %b)", "2x9999999999xf32", "64 bits"),
    ("8x64xf32", "1xf32", "aten.cumsum(%a, 9)", "8x64xf32", "do not fit together"),
    ("8x64xf32", "1xf32", 'aten.cumsum(%a, "a")', "8x64xf32", "do not fit together"),
    ("8x64xf80", "64x16xf80", "aten.mm(%a, %b)", "8x16xf80", "is not known"),
]


def weigh(a: str, b: str, call: str, result: str) -> None:
    text = f"""func.func @forward(%a : tensor<{a}>, %b : tensor<{b}>) -> tensor<{result}> {{
  %y = {call} : tensor<{result}>
  func.return %y : tensor<{result}>
}}"""
    annotate_work(Analyses(parse_program(text)))


@pytest.mark.parametrize(("a", "b", "call", "result", "says"), CONTRADICTIONS)
def test_a_contradiction_is_refused(a, b, call, result, says):
    with pytest.raises(IRError) as caught:
        weigh(a, b, call, result)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("a", "b", "call", "result"),
    [
        ("0x64xf32", "64x16xf32", "aten.mm(%a, %b)", "0x16xf32"),
        ("8x64xf32", "64x16xf32", "aten.mm(%a, %b)", "8x16xf32"),
        ("8x64xf8E4M3FN", "64x16xf8E4M3FN", "aten.mm(%a, %b)", "8x16xf8E4M3FN"),
        ("8x1xf32", "1x16xf32", "aten.add.Tensor(%a, %b)", "8x16xf32"),
        ("8x64xf32", "1xf32", "aten.view(%a, [-1, 128])", "4x128xf32"),
        ("8x64xf32", "1xf32", "aten.unsqueeze(%a, 2)", "8x64x1xf32"),
        ("8x64xf32", "4xi64", "aten.embedding(%a, %b)", "4x64xf32"),
    ],
)
def test_what_fits_is_weighed(a, b, call, result):
    weigh(a, b, call, result)


@pytest.mark.capture
def test_windows_may_leave_out_the_end_of_their_input():
    conv = torch.nn.Sequential(torch.nn.Conv1d(4, 4, 3), torch.nn.Conv1d(4, 4, 2, stride=2))
    built = BuiltModel(conv, {"input": torch.randn(1, 4, 101)}, torch.sum)
    program = import_program(record(built, "windows", CaptureOptions(train=True)))
    annotate_work(Analyses(program))
    assert not unknown_ops(program)
