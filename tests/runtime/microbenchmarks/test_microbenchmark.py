"""Microbenchmarks in files of IR: their work, their operands, and faults of a file."""

import pytest
import torch

from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_work import KernelWork
from steelyard.runtime.microbenchmarks.microbenchmark import all_microbenchmarks, instantiate, microbenchmark

WARM = """
func.func @tanh(%x: tensor<${n}xf32>) {
  %0 = aten.relu(%x) : tensor<${n}xf32>
  %1 = aten.tanh(%0) : tensor<${n}xf32>
  func.return
}
"""


def test_the_work_is_that_of_the_same_op_in_a_program():
    product = microbenchmark("matmul.mlir", "linear", {"rows": 4, "k": 8, "n": 16})
    assert product.work() == KernelWork(
        kind="contraction",
        dtype="f32",
        contraction_flops=2 * 4 * 8 * 16,
        bytes_read=4 * (4 * 8 + 8 * 16),
        bytes_written=4 * 4 * 16,
    )


def test_an_op_runs_on_operands_that_lie_as_the_function_says():
    result = microbenchmark("matmul.mlir", "weight_gradient", {"rows": 4, "k": 8, "n": 16}).runnable().run()
    assert isinstance(result, torch.Tensor) and result.shape == (8, 16)


def test_the_last_op_is_timed_and_what_the_op_before_it_wrote_is_warm():
    (found,) = instantiate("a.mlir", WARM, {"n": 8})
    assert found.op.name == "aten.tanh"
    assert [tensor.shape for tensor in found.runnable().produced] == [(8,)]


def test_names_are_unique_and_all_kinds_that_models_spend_time_in_are_there():
    found = list(all_microbenchmarks())
    assert len({each.name for each in found}) == len(found) > 100
    assert {each.work().kind for each in found} >= {
        "contraction", "convolution", "depthwise_convolution", "attention", "pointwise", "reduction",
        "normalization", "softmax", "gather", "scatter", "copy", "optimizer", "random",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sizes", "said"),
    [
        (WARM, {}, "the size 'n' is not given"),
        ("func.func @f() { func.return }", {}, "has no op to time"),
        ("func.func @f(", {}, "the IR cannot be read"),
    ],
)
def test_a_fault_of_a_file_is_told_with_its_name(text: str, sizes: dict[str, int | str], said: str):
    with pytest.raises(IRError, match=said) as raised:
        list(instantiate("mine.mlir", text, sizes))
    assert raised.value.where and raised.value.where.startswith("mine.mlir")
