"""Attention with dropout as the fused kernel of GPUs; on a CPU torch composes it from products."""

# pyright: standard

import math
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode


class FusedDropoutAttention(TorchFunctionMode):
    """Replace calls of `scaled_dot_product_attention` with dropout by the memory-efficient kernel of CUDA.

    Only for fake tensors: no CPU has that kernel. The pass retarget takes another where a device has one.
    Calls stay as they are where the kernel has no place: keys with other heads than queries, and rows that
    are not whole 16 bytes.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, or the kernel."""
        if func is scaled_dot_product_attention:
            return _attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    aligned = query.shape[-1] * query.element_size() % 16 == value.shape[-1] * value.element_size() % 16 == 0
    alike = query.dim() == 4 and query.shape[1] == key.shape[1] and query.dtype != torch.float64
    if not (dropout_p and aligned and alike):
        return scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, -math.inf)
        attn_mask = attn_mask.expand(*query.shape[:-1], key.shape[-2])
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, torch.is_grad_enabled(), dropout_p, is_causal, scale=scale
    )[0]
