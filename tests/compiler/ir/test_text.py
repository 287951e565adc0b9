"""Programs as text: what no pass could work on is refused when it is read."""

import pytest

from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.hw.base.errors import IRError

DEFINED = "%y = aten.mm(%a, %a) : tensor<4x4xf32>"
USES = {
    "program.drop": "program.drop %y : tensor<4x4xf32>",
    "func.call": "%z = func.call @f(%y) : (tensor<4x4xf32>) -> tensor<4x4xf32>",
    "aten.relu": '%z = "aten.relu"(%y) : (tensor<4x4xf32>) -> tensor<4x4xf32>',
}


def program(*lines: str) -> str:
    body = "\n".join(lines)
    return f"""
func.func @f(%a : tensor<4x4xf32>) -> tensor<4x4xf32> {{
  func.return %a : tensor<4x4xf32>
}}
func.func @forward(%a : tensor<4x4xf32>) {{
{body}
  func.return
}}"""


@pytest.mark.parametrize(("op", "use"), USES.items())
def test_a_value_is_defined_before_it_is_used(op, use):
    in_order = parse_program(program(DEFINED, use))
    assert parse_program(format_program(in_order)).is_structurally_equivalent(in_order)
    with pytest.raises(IRError, match=f"{op} uses a value before aten.mm defines it"):
        parse_program(program(use, DEFINED))
