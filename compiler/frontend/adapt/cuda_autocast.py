"""The rules of CUDA's autocast in a capture on a CPU, whose own autocast keeps fewer operators in f32."""

# pyright: standard

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._C import DispatchKey, DispatchKeySet, _ExcludeDispatchKeyGuard
from torch.library import Library
from torch.utils._pytree import tree_map

_REDUCED = (torch.float16, torch.bfloat16)
_KEY = "AutocastCPU"

# AT_FORALL_FP32 and AT_FORALL_FP32_SET_OPT_DTYPE of aten/src/ATen/autocast_mode.h (torch 2.13).
_IN_F32 = """
    acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow softplus layer_norm
    native_layer_norm group_norm frobenius_norm nuclear_norm cosine_similarity poisson_nll_loss
    cosine_embedding_loss nll_loss nll_loss2d hinge_embedding_loss kl_div l1_loss smooth_l1_loss huber_loss
    mse_loss margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss
    binary_cross_entropy_with_logits dist pdist cdist renorm logsumexp
"""
_TO_F32 = "prod cumprod cumsum linalg_vector_norm linalg_matrix_norm sum"
_ROWS = {"softmax": "_softmax", "log_softmax": "_log_softmax"}


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """Let `torch.autocast("cpu")` cast as CUDA's does.

    Operators that CUDA keeps in f32 get their inputs in f32, or, where they have a dtype of the result, that;
    softmax reads f16 and writes f32, as its kernel on a GPU does. Operators in reduced precision
    are the same on both. For fake tensors: a CPU has no such softmax.
    """
    library = Library("aten", "IMPL", _KEY)
    try:
        with warnings.catch_warnings(action="ignore"):  # of rules of the CPU that are replaced
            for name in _IN_F32.split():
                _register(library, name, _with_inputs_in_f32)
            for name in _TO_F32.split():
                _register(library, name, _with_result_in_f32)
            for name, kernel in _ROWS.items():
                library.impl(f"{name}.int", _rows(name, kernel), allow_override=True)
        yield
    finally:
        library._destroy()


def _register(library: Library, name: str, rule: Callable[[Any], Callable[..., Any]]) -> None:
    packet = getattr(torch.ops.aten, name)
    for overload in packet.overloads():
        if not overload.endswith("out"):
            full_name = name if overload == "default" else f"{name}.{overload}"
            library.impl(full_name, rule(getattr(packet, overload)), allow_override=True)


def _with_inputs_in_f32(op: Any) -> Callable[..., Any]:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _below_autocast():
            return op(*tree_map(_in_f32, args), **tree_map(_in_f32, kwargs))

    return kernel


def _with_result_in_f32(op: Any) -> Callable[..., Any]:
    def kernel(first: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        with _below_autocast():
            if first.dtype in _REDUCED and kwargs.get("dtype") is None:
                kwargs["dtype"] = torch.float32
            return op(first, *args, **kwargs)

    return kernel


def _rows(name: str, fused: str) -> Callable[..., Any]:
    composite, kernel_of_rows = getattr(torch.ops.aten, name).int, getattr(torch.ops.aten, fused).default

    def kernel(rows: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        with _below_autocast():
            dtype = dtype or (torch.float32 if rows.dtype in _REDUCED else None)
            if rows.dtype == torch.float16 and dtype == torch.float32:
                return kernel_of_rows(rows, dim, True)
            return composite(rows, dim, dtype)

    return kernel


def _below_autocast() -> _ExcludeDispatchKeyGuard:
    return _ExcludeDispatchKeyGuard(DispatchKeySet(getattr(DispatchKey, _KEY)))


def _in_f32(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.dtype in _REDUCED else value
