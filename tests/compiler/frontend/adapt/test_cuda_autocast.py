import warnings

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.functional import cross_entropy, linear, log_softmax

from steelyard.compiler.frontend.adapt.cuda_autocast import cuda_autocast


def dtypes(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The dtypes of results under autocast."""
    with FakeTensorMode(), torch.autocast("cpu", dtype=dtype):
        x = torch.rand(4, 8)
        half = linear(x, torch.rand(8, 8))
        return {
            "linear": half.dtype,
            "softmax": half.softmax(-1).dtype,
            "log_softmax": log_softmax(half, -1).dtype,
            "layer_norm": nn.LayerNorm(8)(half).dtype,
            "sum": half.sum().dtype,
            "sum of rows": half.sum(-1).dtype,
            "square": (half**2).dtype,
            "exp": half.exp().dtype,
            "cross entropy": cross_entropy(half, torch.zeros(4, dtype=torch.long)).dtype,
            "relu": half.relu().dtype,
            "add": (half + half).dtype,
        }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_cuda_keeps_in_f32_is_f32_and_no_longer_afterwards(dtype: torch.dtype) -> None:
    before = dtypes(dtype)
    with warnings.catch_warnings(action="error"), cuda_autocast():
        found = dtypes(dtype)
    reduced = {"linear", "relu", "add"}
    assert found == {name: dtype if name in reduced else torch.float32 for name in found}
    assert dtypes(dtype) == before
    assert before["softmax"] == dtype


def test_gradients_come_back_in_the_dtype_of_the_input() -> None:
    with FakeTensorMode(), cuda_autocast(), torch.autocast("cpu", dtype=torch.bfloat16):
        x = torch.rand(4, 8, requires_grad=True)
        half = linear(x, torch.eye(8))
        nn.LayerNorm(8)(half).pow(2).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
