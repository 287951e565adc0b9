from collections.abc import Sequence
from typing import Any

import pytest
import torch
from xdsl.dialects.builtin import ModuleOp, NoneType

from steelyard.compiler.analysis.op_facts import tensor_type
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass
from steelyard.passes.retarget.retarget import RetargetPass
from steelyard.runtime.program.load import load_program

GPT2 = "hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=64"
DTYPES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.int64: "i64", torch.uint64: "ui64"}


def retargeted(module: ModuleOp, device: str) -> ModuleOp:
    RetargetPass(device=device).apply(make_context(), module)
    module.verify()
    return module


def ops_of(module: ModuleOp, name: str) -> list[TorchOp]:
    return [op for op in module.walk() if isinstance(op, TorchOp) and op.name == name]


def totals_of(module: ModuleOp) -> Any:
    AnnotateCostPass().apply(make_context(), module)
    AnnotateMemoryPass().apply(make_context(), module)
    return read_totals(module)


@pytest.mark.parametrize(
    ("dtype", "kernel"), [("bfloat16", "flash_attention"), ("float32", "efficient_attention")]
)
def test_results_are_those_that_torch_says_its_kernels_have(dtype: str, kernel: str):
    choices = {"train": True, "dtype": dtype, "sequence": 40}
    module = retargeted(load_program(GPT2, choices), "h100-sxm")
    (op, _) = ops_of(module, f"aten._scaled_dot_product_{kernel}")
    query = torch.empty(1, 2, 40, 32, dtype=getattr(torch, dtype), device="meta")
    overload = getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}")
    rest = (None, True) if kernel == "efficient_attention" else ()
    expected: Sequence[Any] = overload(query, query, query, *rest)
    assert len(op.results) == len(expected)
    for result, theirs in zip(op.results, expected, strict=True):
        if isinstance(result.type, NoneType):
            assert not isinstance(theirs, torch.Tensor)
        else:
            assert tensor_type(result.type) == TensorType(tuple(theirs.shape), DTYPES[theirs.dtype])


def test_there_and_back_is_the_same_program():
    module = load_program(GPT2, {"train": True})
    before = format_program(module)
    assert ops_of(retargeted(module, "h100-sxm"), "aten._scaled_dot_product_efficient_attention_backward")
    assert format_program(retargeted(module, "cpu")) == before


def test_attention_has_the_same_work_on_every_device():
    program = format_program(load_program(GPT2, {"train": True, "dtype": "bfloat16"}))
    contractions = {
        device: totals_of(retargeted(parse_program(program), device))["work"]["flops"]["contraction"]
        for device in ("cpu", "h100-sxm", "t4", "mi300x")
    }
    assert len(set(contractions.values())) == 1, contractions


def test_the_mask_of_dropout_takes_a_byte_an_element():
    options = "&resid_pdrop=0.25&embd_pdrop=0.25"
    choices = {"train": True, "optimizer": "none", "sequence": 16, "batch": 32}
    program = format_program(load_program(GPT2 + options, choices))
    module = retargeted(parse_program(program), "h100-sxm")
    forward, backward = (ops_of(module, f"aten.native_dropout{end}") for end in ("", "_backward"))
    assert len(forward) == len(backward) == 1 + 2 * 2  # the embedding, and two in each layer
    assert not ops_of(module, "aten.bernoulli_.float")
    assert [op.arguments()["p"] for op in forward] == [0.25] * 5
    assert [op.arguments()["scale"] for op in backward] == [1 / 0.75] * 5
    before, after = (totals_of(each)["memory"]["peak_bytes"] for each in (parse_program(program), module))
    # At the peak, in the activation of the second layer, four masks of 32 x 16 x 64 numbers are alive, and
    # the sums of two attentions, for 32 instead of 16 rows of 32 x 2 heads, and their two random states.
    masks, sums, random = 4 * 32 * 16 * 64 * (4 - 1), 2 * 32 * 2 * (32 - 16) * 4, 2 * 2 * 8
    assert before - after == masks - sums - random
