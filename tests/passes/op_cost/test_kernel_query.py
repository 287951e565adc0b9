"""What a call is as kernels: dims by hand."""

import pytest

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.text import parse_program
from steelyard.passes.op_cost.kernel_query import KernelQuery, kernel_queries


def queries(text: str) -> list[tuple[str, dict[str, int | str], bool]]:
    lines = "\n".join(line for line in text.strip().splitlines())
    [op] = [op for op in parse_program(lines).walk() if isinstance(op, TorchOp)]
    work = OpInfoCache().read(op).work
    assert work is not None
    found: tuple[KernelQuery, ...] = kernel_queries(work)
    return [(each.kind, dict(each.dims), each.backward) for each in found]


def program(call: str, arguments: str, results: str) -> str:
    names = [f"%r{i}" for i in range(results.count("tensor") + results.count("none"))]
    return f"""
builtin.module {{
  func.func @forward({arguments}) -> ({results}) {{
    {", ".join(names)} = {call} : {results}
    func.return {", ".join(names)} : {results}
  }}
}}"""


PRODUCTS = [
    (
        "aten.mm(%a, %b)",
        "%a : tensor<4x8xf32>, %b : tensor<8x16xf32>",
        "tensor<4x16xf32>",
        "gemm",
        (1, 4, 16, 8),
    ),
    (
        "aten.bmm(%a, %b)",
        "%a : tensor<2x4x8xf32>, %b : tensor<2x8x16xf32>",
        "tensor<2x4x16xf32>",
        "bmm",
        (2, 4, 16, 8),
    ),
    (
        "aten.addmm(%c, %a, %b)",
        "%c : tensor<16xf32>, %a : tensor<4x8xf32>, %b : tensor<8x16xf32>",
        "tensor<4x16xf32>",
        "gemm",
        (1, 4, 16, 8),
    ),
    # 64 rows meet one of 8 matrices each.
    (
        "aten._grouped_mm(%a, %b, %o)",
        "%a : tensor<64x8xf32>, %b : tensor<8x8x16xf32>, %o : tensor<8xi32>",
        "tensor<64x16xf32>",
        "bmm",
        (8, 8, 16, 8),
    ),
]


@pytest.mark.parametrize(("call", "arguments", "results", "kind", "sizes"), PRODUCTS)
def test_products(call, arguments, results, kind, sizes):
    expected = dict(zip("bmnk", sizes, strict=True))
    assert queries(program(call, arguments, results)) == [(kind, expected, False)]


CONVOLUTION = {"n": 2, "c": 8, "h": 16, "w": 16, "o": 32, "r": 3, "s": 3, "stride": 2, "pad": 1, "groups": 1}
WINDOW = (
    "stride = [2, 2], padding = [1, 1], dilation = [1, 1], transposed = false, "
    "output_padding = [0, 0], groups = 1"
)
IMAGE = "%x : tensor<2x8x16x16xf32>, %w : tensor<32x8x3x3xf32>"


def test_convolution():
    call = f"aten.convolution(%x, %w, {WINDOW})"
    [found] = queries(program(call, IMAGE, "tensor<2x32x8x8xf32>"))
    assert found == ("conv2d", {**CONVOLUTION, "direction": "fwd"}, False)


def test_an_image_of_one_pixel_is_an_image():
    call = f"aten.convolution(%x, %w, {WINDOW})"
    pixel = IMAGE.replace("16x16x", "1x1x")
    [found] = queries(program(call, pixel, "tensor<2x32x1x1xf32>"))
    assert found == ("conv2d", {**CONVOLUTION, "h": 1, "w": 1, "direction": "fwd"}, False)


def test_the_gradient_of_a_convolution_is_two_kernels():
    mask = "output_mask = [true, true, false]"
    call = f"aten.convolution_backward(%g, %x, %w, bias_sizes = [0], {WINDOW}, {mask})"
    results = "tensor<2x8x16x16xf32>, tensor<32x8x3x3xf32>, none"
    found = queries(program(call, f"%g : tensor<2x32x8x8xf32>, {IMAGE}", results))
    assert found == [
        ("conv2d", {**CONVOLUTION, "direction": direction}, False) for direction in ("dgrad", "wgrad")
    ]


def test_rows():
    [found] = queries(
        program(
            "aten._softmax(%x, dim = 2, half_to_float = false)", "%x : tensor<2x3x8xf32>", "tensor<2x3x8xf32>"
        )
    )
    assert found == ("softmax", {"rows": 6, "cols": 8}, False)
    call = "aten.native_layer_norm(%x, normalized_shape = [8], weight = %w, bias = %w, eps = 1.0e-05)"
    arguments = "%x : tensor<2x3x8xf32>, %w : tensor<8xf32>"
    results = "tensor<2x3x8xf32>, tensor<2x3x1xf32>, tensor<2x3x1xf32>"
    [found] = queries(program(call, arguments, results))
    assert found == ("layer_norm", {"rows": 6, "cols": 8}, False)


def test_attention_with_shared_heads():
    call = "aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %k, is_causal = true)"
    arguments = "%q : tensor<2x4x128x64xf32>, %k : tensor<2x2x128x64xf32>"
    [found] = queries(program(call, arguments, "tensor<2x4x128x64xf32>, tensor<2x4x128xf32>"))
    sizes = {"b": 2, "hq": 4, "hkv": 2, "sq": 128, "skv": 128, "d": 64, "causal": 1}
    assert found == ("attention_prefill", sizes, False)


@pytest.mark.parametrize("call", ["aten.relu(%x)", "aten.clone(%x)"])
def test_streams_have_no_kernel_of_their_own(call):
    assert queries(program(call, "%x : tensor<8xf32>", "tensor<8xf32>")) == []
