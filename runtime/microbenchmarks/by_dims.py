"""Microbenchmarks of kernels by their dims, as models run them: eager, forward, f32."""

# pyright: standard

from typing import Any

import torch

from steelyard.runtime.microbenchmarks.matmul_attention import batched_matmul, matmul
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark

aten = torch.ops.aten


def product_probe(*, b: int, m: int, n: int, k: int) -> Microbenchmark:
    """A linear layer's product: rows times a transposed weight."""
    return matmul(b * m, k, n, transposed="b")


def batched_product_probe(*, b: int, m: int, n: int, k: int) -> Microbenchmark:
    """A batched matrix product."""
    return batched_matmul(b, m, k, n)


def convolution_probe(
    *, n: int, c: int, h: int, w: int, o: int, r: int, s: int, stride: int, pad: int, groups: int
) -> Microbenchmark:
    """A convolution without a bias."""
    where = ([stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups)

    def operands() -> tuple[Any, ...]:
        return torch.rand(n, c, h, w), torch.rand(o, c // groups, r, s), None, *where

    name = f"conv{r}x{s}/{stride} {n}x{c}x{h}x{w}->{o} pad {pad} in {groups} groups"
    return Microbenchmark(name, aten.convolution.default, operands)


def softmax_probe(*, rows: int, cols: int) -> Microbenchmark:
    """A softmax of each row."""
    return Microbenchmark(
        f"softmax {rows}x{cols}", aten._softmax.default, lambda: (torch.rand(rows, cols), -1, False)
    )


def layer_norm_probe(*, rows: int, cols: int) -> Microbenchmark:
    """A layer norm of each row with a scale and a shift."""

    def operands() -> tuple[Any, ...]:
        return torch.rand(rows, cols), [cols], torch.rand(cols), torch.rand(cols), 1e-5

    return Microbenchmark(f"layer_norm {rows}x{cols}", aten.native_layer_norm.default, operands)


def attention_probe(*, b: int, hq: int, hkv: int, sq: int, skv: int, d: int, causal: int) -> Microbenchmark:
    """Flash attention of torch on a CPU; grouped-query heads are repeated."""

    def operands() -> tuple[Any, ...]:
        keys = [torch.rand(b, hkv, skv, d).repeat_interleave(hq // hkv, dim=1) for _ in range(2)]
        return torch.rand(b, hq, sq, d), *keys

    return Microbenchmark(
        f"attention {b}x{hq}x{sq}x{skv}x{d}{' causal' * causal}",
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        operands,
        options={"is_causal": bool(causal)},
    )
