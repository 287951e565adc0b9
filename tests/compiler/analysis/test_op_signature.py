import pytest

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.op_signature import op_signature, view_chain
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.text import parse_program


def signatures(*lines: str) -> list[str]:
    body = "\n".join(lines)
    module = parse_program(f"""
builtin.module {{
  func.func @forward(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %i: tensor<4xi64>) {{
    {body}
    func.return
  }}
}}
""")
    reader = OpInfoCache()
    return [
        op_signature(op, reader) for op in entry_function(module).body.block.ops if isinstance(op, TorchOp)
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["%0 = aten.relu(%x) : tensor<4x8xf32>"], "aten.relu(f32[4x8])"),
        (
            ["%0 = aten.add.Tensor(%x, other = 1.5) : tensor<4x8xf32>"],
            "aten.add.Tensor(f32[4x8], other=1.5)",
        ),
        (
            ["%0 = aten.cat([%x, %w]) : tensor<20x8xf32>"],
            "aten.cat([f32[4x8], f32[16x8]])",
        ),
        (
            ["%t = aten.t(%w) : tensor<8x16xf32>", "%0 = aten.mm(%x, %t) : tensor<4x16xf32>"],
            "aten.mm(f32[4x8], t(f32[16x8]))",
        ),
        (
            ["%v = aten.view(%x, [8, 4]) : tensor<8x4xf32>", "%0 = aten.relu(%v) : tensor<8x4xf32>"],
            "aten.relu(f32[8x4])",
        ),
        (
            [
                "%v = aten.view(%x, [8, 4]) : tensor<8x4xf32>",
                "%t = aten.t(%v) : tensor<4x8xf32>",
                "%0 = aten.relu(%t) : tensor<4x8xf32>",
            ],
            "aten.relu(t(f32[8x4]))",
        ),
    ],
)
def test_the_signature_tells_types_layouts_and_numbers(lines, expected):
    assert signatures(*lines)[-1] == expected


def test_pieces_of_a_split_lie_alike():
    *_, first, second = signatures(
        "%a, %b = aten.split.Tensor(%x, 4, 1) : tensor<4x4xf32>, tensor<4x4xf32>",
        "%0 = aten.relu(%a) : tensor<4x4xf32>",
        "%1 = aten.relu(%b) : tensor<4x4xf32>",
    )
    assert first == second == "aten.relu(split(f32[4x8], 4, 1))"


def test_a_chain_starts_at_what_is_written():
    module = parse_program("""
builtin.module {
  func.func @forward(%x: tensor<4x8xf32>) {
    %0 = aten.relu(%x) : tensor<4x8xf32>
    %1 = aten.t(%0) : tensor<8x4xf32>
    %2 = aten.relu(%1) : tensor<8x4xf32>
    func.return
  }
}
""")
    relu, transposed, last, _ = entry_function(module).body.block.ops
    reader = OpInfoCache()
    assert view_chain(last.operands[0], reader) == (transposed.results[0],)
    assert view_chain(transposed.operands[0], reader) == ()
    assert view_chain(relu.operands[0], reader) == ()
