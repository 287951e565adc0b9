import pytest

from steelyard.compiler.dialects.schema import UnsupportedSchema, parse_schema, schema_of
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.hw.base.errors import IRError

PROGRAM = """builtin.module {
  func.func @forward(%x: tensor<4x4xf32> {program.role = "parameter"}, %i: tensor<4xi64>) -> tensor<4x4xf32> {
    %0 = aten.addmm(%x, %x, %x, alpha = 1.0e-05) {phase = "forward"} : tensor<4x4xf32>
    %1 = aten.add.Tensor(%0, other = -inf, alpha = 2) : tensor<4x4xf32>
    %2 = aten.index.Tensor(%1, [none, %i]) : tensor<4x4xf32>
    %3, %4 = aten.split.Tensor(%2, split_size = 2, dim = -1) : tensor<4x2xf32>, tensor<4x2xf32>
    %5 = aten.cat([%3, %4], dim = 1) : tensor<4x4xf32>
    %6 = torch.op "mylib::f(Tensor x, float[] by, str s) -> Tensor"(%5, by = [1.0, nan], s = "a \\"b\\"") : tensor<4x4xf32>
    %7, %8, %9 = aten.convolution_backward(%6, %6, %6, bias_sizes = none, stride = [1, 1], padding = [0, 0], dilation = [1, 1], transposed = false, output_padding = [0, 0], groups = 1, output_mask = [true, false, false]) : tensor<4x4xf32>, none, none
    program.drop %5 : tensor<4x4xf32>
    func.return %7 : tensor<4x4xf32>
  }
}
"""  # noqa: E501


def ops():
    module = parse_program(PROGRAM)
    return {op.name: op for op in module.walk() if isinstance(op, TorchOp)}


@pytest.mark.parametrize("generic", [False, True])
def test_print_parse_print_is_the_same(generic: bool):
    module = parse_program(PROGRAM)
    text = format_program(module, generic)
    assert format_program(parse_program(text), generic) == text
    assert format_program(parse_program(text)) == format_program(module)


def test_arguments_come_back_by_name():
    found = ops()
    add = found["aten.add.Tensor"].arguments()
    assert (add["other"], add["alpha"]) == (float("-inf"), 2)
    index = found["aten.index.Tensor"]
    assert index.arguments()["indices"] == [None, index.operands[1]]
    assert found["torch.op"].arguments()["s"] == 'a "b"'
    assert found["torch.op"].schema.name == "mylib.f"
    assert found["aten.convolution_backward"].arguments()["output_mask"] == [True, False, False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("aten.cat(", "aten.cta(", "not registered"),
        ("alpha = 2", "beta = 2", "no such argument"),
        ("%1, [none", "%11, [none", "before it is defined"),
        ("%0 = aten.addmm(%x, %x, %x,", "%0 = aten.addmm(%x, %x,", "needs its argument mat2"),
        ("bias_sizes = none, stride = [1, 1], ", "bias_sizes = none, ", "needs its argument stride"),
        ("%3, %4 = aten.split.Tensor", "%3, %4, %44 = aten.split.Tensor", "2 results"),
        ('"mylib::f(Tensor x', '"mylib::f(Dict(a) x', "not a torch schema"),
    ],
)
def test_wrong_text_is_one_error(old: str, new: str, message: str):
    assert old in PROGRAM
    with pytest.raises(IRError, match=message):
        parse_program(PROGRAM.replace(old, new))


def test_syntax_errors_name_line_and_column():
    with pytest.raises(IRError) as error:
        parse_program(PROGRAM.replace("aten.cat(", "aten.cta("), "a.mlir")
    assert "a.mlir:7:" in str(error.value)


def test_schemas_say_what_they_write_and_alias():
    adamw = schema_of("aten._fused_adamw_")
    assert adamw is not None
    assert [p.name for p in adamw.parameters if p.writes] == [
        "self", "grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs",
    ]  # fmt: skip
    view = schema_of("aten.view")
    assert view is not None and view.parameters[0].alias == view.returns[0].alias == "a" and not view.mutates
    with pytest.raises(UnsupportedSchema):
        parse_schema("aten::keys(Dict(int, t) self) -> t[]")


def test_every_schema_of_the_table_is_an_op():
    from steelyard.compiler.dialects.schema import schema_lines
    from steelyard.compiler.dialects.torch_dialects import get_aten, get_c10d

    names = {op.name for dialect in (get_aten(), get_c10d()) for op in dialect.operations}
    assert names == set(schema_lines())
    assert all(schema_of(name) is not None for name in names)
