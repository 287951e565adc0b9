"""Fused attention over a prompt: many queries of each sequence against its keys."""

from steelyard.hw.kernels.attention.dims import DIMS, conflicts
from steelyard.hw.kernels.attention.model import FusedAttention
from steelyard.hw.kernels.common.kernel_kind import KernelKind, every_row

KIND = KernelKind(
    name="attention_prefill",
    work="attention",
    dims=DIMS,
    features=("b", "hq", "hq / hkv", "sq", "skv", "d"),
    model=FusedAttention("attention_prefill"),
    vectorized=("sq", "skv", "d"),
    regressors={"attention_prefill": every_row},
    conflicts=conflicts,
)
