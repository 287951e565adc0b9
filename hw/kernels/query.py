"""What can be asked of a kernel model: many kernels of one kind and type, their dims as columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.work import DType

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

Floats = NDArray[np.float64]
Column = NDArray[Any]
"""One number a row (int64), or one word a row (str)."""

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

WORDS = ("fn", "direction")
"""The columns that hold words."""

DEFAULTS: dict[str, int | str] = {"b": 1, "groups": 1, "stride": 1, "direction": "fwd", "causal": 0}
"""Dims that need not be given."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Kernels of one kind and type.

    Attributes:
        kind: What kind of kernel they are.
        dtype: The type of their operands; products accumulate in f32.
        dims: A column for each of `DIMS[kind]`, all of one length.
    """

    kind: KernelKind
    dtype: DType
    dims: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.dims[DIMS[self.kind][0]])
