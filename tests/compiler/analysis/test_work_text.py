"""The work of an op as text: printed, parsed, and the work of an op that no rule knows."""

import pytest
from xdsl.parser import Parser

from steelyard.compiler.analysis.op_facts import OpInfoCache, to_call
from steelyard.compiler.analysis.work_text import work_from_text, work_text
from steelyard.compiler.dialects.cost_spaces import SpacesAttr
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import IRError

WINDOW = (
    "stride = [2, 2], padding = [1, 1], dilation = [1, 1], transposed = false, "
    "output_padding = [0, 0], groups = 2"
)
OPS = [
    "aten.mm(%m, %m) : tensor<4x4xf32>",
    "aten.addmm(%v, %m, %m, beta = 0.5) : tensor<4x4xf32>",
    "aten.add.Tensor(%m, %v) : tensor<4x4xf32>",
    f"aten.convolution(%i, %w, {WINDOW}) : tensor<2x4x2x2xf32>",
    "aten._softmax(%m, dim = 1, half_to_float = false) : tensor<4x4xf32>",
    "aten.embedding(%m, %x) : tensor<3x4xf32>",
    "aten.cat([%m, %m], dim = 1) : tensor<4x8xf32>",
    "aten.sum(%m) : tensor<f32>",
    "aten.tril(%m) : tensor<4x4xf32>",
    "aten.split.Tensor(%m, split_size = 2) : tensor<2x4xf32>, tensor<2x4xf32>",
]


def op_of(text: str) -> TorchOp:
    names = ", ".join(f"%r{i}" for i in range(text.rpartition(") : ")[2].count("tensor")))
    module = parse_program(
        "func.func @forward(%m : tensor<4x4xf32>, %v : tensor<4xf32>, %i : tensor<2x4x4x4xf32>, "
        f"%w : tensor<4x2x3x3xf32>, %x : tensor<3xi64>) -> () {{\n{names} = {text}\nfunc.return }}"
    )
    return next(op for op in module.walk() if isinstance(op, TorchOp))


@pytest.mark.parametrize("text", OPS)
def test_text_reads_back_to_work_of_the_same_cost(text: str) -> None:
    op = op_of(text)
    work = OpInfoCache().read(op).work
    assert work is not None
    attribute = SpacesAttr(work_text(work))
    assert Parser(make_context(), str(attribute)).parse_attribute() == attribute
    read = work_from_text(attribute.data, to_call(op))
    assert read.cost == work.cost
    assert read.compute_dtype == work.compute_dtype
    assert [space.reduction for space in read.spaces] == [space.reduction for space in work.spaces]
    assert [space.combine for space in read.spaces] == [space.combine for space in work.spaces]
    assert work_text(read) == attribute.data


def test_the_text_of_a_product() -> None:
    work = OpInfoCache().read(op_of(OPS[0])).work
    assert work is not None
    product = '"self: m k, mat2: k n -> result0: m n" flops = [2, 0, 0] reduction = [k]'
    assert str(SpacesAttr(work_text(work))) == f"#cost.spaces<contraction, [{product}]>"


def test_a_window_is_printed_with_its_stride_and_padding() -> None:
    work = OpInfoCache().read(op_of(OPS[3])).work
    assert work is not None
    assert "input: n g*c o0*2+k0-1 o1*2+k1-1, weight: g*a c k0 k1" in str(SpacesAttr(work_text(work)))


EXTERN = (
    'torch.op "mylib::unheard(Tensor q, Tensor k) -> Tensor"(%m, %m) {{cost.spaces = {}}} : tensor<4x4xf32>'
)


def test_an_op_that_no_rule_knows_does_the_work_that_is_given() -> None:
    given = '#cost.spaces<contraction, ["q: a e, k: b e -> result0: a b" flops = [2, 0, 0]]>'
    work = OpInfoCache().read(op_of(EXTERN.format(given))).work
    assert work is not None
    assert (work.kind, work.flops.contraction, work.bytes_unique) == (
        "contraction",
        2 * 4**3,
        2 * 4 * 4 * 4 + 64,
    )
    other = given.replace("[2, 0, 0]", "[4, 0, 0]")
    again = OpInfoCache().read(op_of(EXTERN.format(other))).work
    assert again is not None and again.flops.contraction == 2 * work.flops.contraction


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ('contraction, ["q: a e, nothing: b e -> result0: a b" flops = [2, 0, 0]]', "no tensor 'nothing'"),
        ('magic, ["q: a e -> result0: a e" flops = [2, 0, 0]]', "no kind of kernel"),
        ('contraction, ["q: a e" flops = [2, 0, 0]]', "not one arrow"),
        ('reduction, ["q: a e -> result0: a b" flops = [2, 0, 0] by magic]', "no combiner"),
        ('contraction, ["q: a -> result0: a b" flops = [2, 0, 0]]', "has 1 dims"),
    ],
)
def test_text_that_does_not_fit_the_op_is_refused(given: str, why: str) -> None:
    with pytest.raises(IRError) as raised:
        OpInfoCache().read(op_of(EXTERN.format(f"#cost.spaces<{given}>")))
    assert why in (raised.value.why or "")
