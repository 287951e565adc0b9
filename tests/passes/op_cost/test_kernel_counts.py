"""Counts of kernel models are those of the op's description: nothing is counted twice."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost
from steelyard.hw.kernels.registry import KINDS
from steelyard.passes.op_cost.kernel_query import kernel_queries


def tensor(*shape: int, dtype: str = "f32") -> TensorType:
    return TensorType(shape, dtype)


def described(
    name: str, operands: Mapping[str, TensorType], results: tuple[TensorType, ...], **properties: Any
) -> OpWork:
    work = work_of(OpCall(name, tuple(operands.items()), properties, results))
    assert work is not None
    return work


def counted(kind: str, **dims: int | str) -> KernelCost[int]:
    columns = {name: np.array([size]) for name, size in dims.items()}
    return KINDS[kind].model.counts("f32", columns).split(1)[0]


X = tensor(128, 256)

FUNCTIONS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "add": ("aten.add", 2, {}),
    "sub": ("aten.sub", 2, {}),
    "mul": ("aten.mul", 2, {}),
    "div": ("aten.div", 2, {}),
    "pow": ("aten.pow", 2, {}),
    "relu": ("aten.relu", 1, {}),
    "gelu": ("aten.gelu", 1, {"approximate": "none"}),
    "silu": ("aten.silu", 1, {}),
    "tanh": ("aten.tanh", 1, {}),
    "sigmoid": ("aten.sigmoid", 1, {}),
    "exp": ("aten.exp", 1, {}),
    "log": ("aten.log", 1, {}),
    "sqrt": ("aten.sqrt", 1, {}),
    "rsqrt": ("aten.rsqrt", 1, {}),
    "neg": ("aten.neg", 1, {}),
    "abs": ("aten.abs", 1, {}),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_elementwise_functions(function: str) -> None:
    name, operands, properties = FUNCTIONS[function]
    names = ("self", "other" if function != "pow" else "exponent")[:operands]
    work = described(name, dict.fromkeys(names, X), (X,), **properties)
    assert counted("elementwise", fn=function, rows=128, cols=256) == work.cost


def test_a_where_reads_a_byte_of_condition() -> None:
    operands = {"condition": tensor(128, 256, dtype="i1"), "self": X, "other": X}
    work = described("aten.where", operands, (X,))
    assert counted("elementwise", fn="where", rows=128, cols=256) == work.cost


def from_queries(work: OpWork) -> KernelCost[int]:
    """Return the counts of the kernels that the op is asked as."""
    costs = [counted(query.kind, **dict(query.dims)) for query in kernel_queries(work)]
    assert costs
    return sum(costs, KernelCost(bytes_read=0))


ATTENTION = {"query": tensor(1, 4, 128, 64), "key": tensor(1, 4, 128, 64), "value": tensor(1, 4, 128, 64)}
CONVOLUTION = {
    "padding": [1, 1],
    "dilation": [1, 1],
    "transposed": False,
    "output_padding": [0, 0],
    "groups": 1,
}
KERNELS: dict[str, OpWork] = {
    "gemm": described("aten.mm", {"self": X, "mat2": tensor(256, 512)}, (tensor(128, 512),)),
    "bmm": described(
        "aten.bmm", {"self": tensor(3, 128, 64), "mat2": tensor(3, 64, 32)}, (tensor(3, 128, 32),)
    ),
    "conv2d": described(
        "aten.convolution",
        {"input": tensor(2, 8, 16, 16), "weight": tensor(32, 8, 3, 3)},
        (tensor(2, 32, 16, 16),),
        stride=[1, 1],
        **CONVOLUTION,
    ),
    "conv2d strided": described(
        "aten.convolution",
        {"input": tensor(2, 8, 17, 17), "weight": tensor(32, 8, 3, 3)},
        (tensor(2, 32, 9, 9),),
        stride=[2, 2],
        **CONVOLUTION,
    ),
    "softmax": described("aten._softmax", {"self": X}, (X,), dim=-1, half_to_float=False),
    "layer_norm": described(
        "aten.native_layer_norm",
        {"input": X, "weight": tensor(256), "bias": tensor(256)},
        (X, tensor(128, 1), tensor(128, 1)),
        normalized_shape=[256],
    ),
    "attention": described(
        "aten.scaled_dot_product_attention", ATTENTION, (tensor(1, 4, 128, 64),), is_causal=False
    ),
    "causal attention": described(
        "aten.scaled_dot_product_attention", ATTENTION, (tensor(1, 4, 128, 64),), is_causal=True
    ),
    "attention_decode": described(
        "aten.scaled_dot_product_attention",
        {**ATTENTION, "query": tensor(1, 4, 1, 64)},
        (tensor(1, 4, 1, 64),),
        is_causal=False,
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_with_a_model(name: str) -> None:
    assert from_queries(KERNELS[name]) == KERNELS[name].cost


def test_the_bias_of_a_linear_layer_is_the_addend_of_its_product() -> None:
    operands = {"input": tensor(128, 512), "weight": tensor(256, 512), "bias": tensor(256)}
    work = described("aten.linear", operands, (tensor(128, 256),))
    addend = KernelCost(pointwise_flops=128 * 256, bytes_read=4 * 256)
    assert from_queries(work) + addend == work.cost


def test_every_kind_is_compared() -> None:
    asked = {query.kind for work in KERNELS.values() for query in kernel_queries(work)}
    assert asked | {"elementwise"} == set(KINDS)
