"""Fused attention of one decoding step: a query of each sequence against its cached keys."""

from steelyard.hw.kernels.attention.dims import DIMS, conflicts
from steelyard.hw.kernels.attention.model import FusedAttention
from steelyard.hw.kernels.common.kernel_kind import KernelKind

KIND = KernelKind(
    name="attention_decode",
    work="attention",
    dims=DIMS,
    features=("b", "hq", "hq / hkv", "skv", "d"),
    model=FusedAttention("attention_decode"),
    conflicts=conflicts,
)
