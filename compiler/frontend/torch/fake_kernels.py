"""Results of ops on fake tensors, for the ops that torch itself gets wrong."""

# pyright: standard

from typing import Any

import torch

from steelyard.compiler.frontend.torch.torch_private import has_kernel
from steelyard.hw.scratch.onednn_lstm import Lstm

aten = torch.ops.aten


def _grouped_mm(
    mat_a: torch.Tensor,
    mat_b: torch.Tensor,
    offs: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """As the CPU kernel, which takes every float dtype where torch's meta kernel insists on bfloat16.

    A 2-d operand holds its groups one after the other, ending at `offs`; a 3-d one has them as its first dim.
    """
    rows, columns = mat_a.shape[-2], mat_b.shape[-1]
    is_ragged = mat_a.dim() == 2 and mat_b.dim() == 2
    is_batched = mat_a.dim() == 3 and mat_b.dim() == 3
    groups = offs.shape[0] if is_ragged and offs is not None else mat_a.shape[0]
    shape = (groups, rows, columns) if is_ragged or is_batched else (rows, columns)
    # Rows begin at multiples of 16 bytes (create_grouped_gemm_output_tensor in aten/native/GroupedMMUtils.h).
    dtype = out_dtype or mat_a.dtype
    alignment = 16 // dtype.itemsize
    pitch = -(-columns // alignment) * alignment
    stride = (rows * pitch, pitch, 1)[-len(shape) :]
    return torch.empty_strided(shape, stride, dtype=dtype, device=mat_a.device)


def _layer_norm_backward(*args: Any) -> tuple[torch.Tensor | None, ...]:
    """As the CPU kernel, whose results are contiguous; torch's meta kernel keeps the strides it is given."""
    gradients = aten.native_layer_norm_backward.default(*args)
    return tuple(None if gradient is None else gradient.contiguous() for gradient in gradients)


def _rnn_layer(*args: Any) -> tuple[torch.Tensor, ...]:
    """As the CPU kernel, whose workspace has bytes with gradients; that of torch's meta kernel has none."""
    if not torch.is_grad_enabled():
        return aten.mkldnn_rnn_layer.default(*args)
    *states, _ = aten.mkldnn_rnn_layer.default(*args)
    source, hidden = args[0], args[5]
    time, batch, inputs = source.shape
    bytes_ = Lstm(time, batch, inputs, hidden.shape[-1]).workspace_bytes
    return *states, source.new_empty(bytes_, dtype=torch.uint8)


FAKE_KERNELS: dict[Any, Any] = {
    aten._grouped_mm.default: _grouped_mm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
    aten.mkldnn_rnn_layer.default: _rnn_layer,
}
"""By the op they replace."""


def _register_missing() -> torch.library.Library:
    """Give fused optimizers without a meta kernel one: they return nothing.

    Without it a fake mode runs them on real tensors of the same sizes.
    """
    library = torch.library.Library("aten", "IMPL", "Meta")
    for name in ("_fused_sgd_", "_fused_sgd_.tensor_lr", "_fused_adagrad_"):
        if not has_kernel(f"aten::{name}", "Meta"):
            library.impl(name, lambda *args, **kwargs: None)
    return library


_REGISTERED = _register_missing()  # kernels live as long as their library
