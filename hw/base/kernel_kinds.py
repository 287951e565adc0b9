"""The kinds of kernels that have models, their dims, and the coordinates in which their time is smooth."""

from typing import Literal

KernelKind = Literal[
    "gemm",
    "bmm",
    "conv2d",
    "elementwise",
    "softmax",
    "layer_norm",
    "attention_prefill",
    "attention_decode",
]

DIMS: dict[KernelKind, tuple[str, ...]] = {
    "gemm": ("b", "m", "n", "k"),
    "bmm": ("b", "m", "n", "k"),
    "conv2d": ("n", "c", "h", "w", "o", "r", "s", "stride", "pad", "groups", "direction"),
    "elementwise": ("fn", "rows", "cols"),
    "softmax": ("rows", "cols"),
    "layer_norm": ("rows", "cols"),
    "attention_prefill": ("b", "hq", "hkv", "sq", "skv", "d", "causal"),
    "attention_decode": ("b", "hq", "hkv", "sq", "skv", "d", "causal"),
}
"""The dims of each kind.

gemm: `b` independent rows of `m` (b * m rows in all) times one weight, [b m, k] @ [k, n]. bmm: `b` products
[m, k] @ [k, n], each with operands of its own. conv2d: input [n, c, h, w], `o` filters of r x s, direction
`fwd`, `dgrad` or `wgrad`. elementwise, softmax, layer_norm: a [rows, cols] tensor; softmax and layer_norm
reduce `cols`. attention: `b` sequences, `hq` query and `hkv` key heads of `d`, `sq` queries against `skv`
keys.
"""

CATEGORICAL_DIMS = ("fn", "direction")
"""The columns that hold words."""

DEFAULTS: dict[str, int | str] = {"b": 1, "groups": 1, "stride": 1, "direction": "fwd", "causal": 0}
"""Dims that need not be given."""

FEATURES: dict[KernelKind, tuple[str, ...]] = {
    "gemm": ("b m", "n", "k"),
    "bmm": ("b", "m", "n", "k"),
    "conv2d": ("n", "c", "h w", "o", "r s", "stride", "groups"),
    "elementwise": ("rows cols", "cols"),
    "softmax": ("rows", "cols"),
    "layer_norm": ("rows", "cols"),
    "attention_prefill": ("b", "hq", "hq / hkv", "sq", "skv", "d"),
    "attention_decode": ("b", "hq", "hq / hkv", "skv", "d"),
}
"""What the residual of a fit runs over: log2 of each of these products and quotients of dims."""
