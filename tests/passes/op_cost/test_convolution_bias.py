"""The bias of a convolution is a kernel of its own: bytes by hand."""

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.kernel_work import KernelWork
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.op_cost.convolution_bias import bias_kernel

WINDOW = "stride = [1, 1], padding = [1, 1], dilation = [1, 1], transposed = false, output_padding = [0, 0]"
IMAGE = "%x : tensor<2x8x16x16xf32>, %w : tensor<32x8x3x3xf32>"
OUTPUT = 2 * 32 * 16 * 16


def program(call: str, arguments: str, results: str) -> str:
    names = ", ".join(f"%r{i}" for i in range(results.count("tensor") + results.count("none")))
    return f"""
builtin.module {{
  func.func @forward({arguments}) -> ({results}) {{
    {names} = {call} : {results}
    func.return {names} : {results}
  }}
}}"""


def convolution(bias: bool, groups: int = 1) -> str:
    arguments = IMAGE.replace("32x8x3x3", "32x1x3x3") if groups > 1 else IMAGE
    call = f"aten.convolution(%x, %w, {'bias = %b, ' if bias else ''}{WINDOW}, groups = {groups})"
    return program(call, f"{arguments}, %b : tensor<32xf32>", "tensor<2x32x16x16xf32>")


def kernel(text: str) -> KernelWork | None:
    [op] = [op for op in parse_program(text).walk() if isinstance(op, TorchOp)]
    work = OpInfoCache().read(op).work
    assert work is not None
    return bias_kernel(work, "f32")


def microseconds(text: str) -> float:
    module = parse_program(text)
    AnnotateCostPass().apply(make_context(), module)
    AnnotateLatencyPass(device="v100-pcie-32gb", context="graph").apply(make_context(), module)
    [op] = [op for op in module.walk() if isinstance(op, TorchOp)]
    latency = op.attributes[LATENCY]
    assert isinstance(latency, LatencyAttr)
    return latency.data.value_us


def test_adding_it_reads_and_writes_the_output_again() -> None:
    found = kernel(convolution(bias=True))
    assert found is not None
    assert (found.bytes_read, found.bytes_written, found.pointwise_flops) == (4 * OUTPUT, 4 * OUTPUT, OUTPUT)
    assert kernel(convolution(bias=False)) is None


def test_a_depthwise_kernel_adds_it_as_it_writes() -> None:
    assert kernel(convolution(bias=True, groups=8)) is None


def test_its_gradient_reads_that_of_the_output() -> None:
    mask = "output_mask = [true, true, true]"
    call = f"aten.convolution_backward(%g, %x, %w, bias_sizes = [32], {WINDOW}, groups = 1, {mask})"
    results = "tensor<2x8x16x16xf32>, tensor<32x8x3x3xf32>, tensor<32xf32>"
    found = kernel(program(call, f"%g : tensor<2x32x16x16xf32>, {IMAGE}", results))
    assert found is not None
    assert (found.kind, found.bytes_read, found.bytes_written) == ("reduction", 4 * OUTPUT, 0)


def test_it_has_a_launch_of_its_own() -> None:
    extra_us = microseconds(convolution(bias=True)) - microseconds(convolution(bias=False))
    assert 2.5 <= extra_us < 5
