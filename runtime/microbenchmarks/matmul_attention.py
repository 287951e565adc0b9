"""Microbenchmarks of contractions: matrix products and attention."""

# pyright: standard

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.runtime.microbenchmarks.microbenchmark import TORCH_DTYPES, Microbenchmark

aten = torch.ops.aten

_LAYERS = ((768, 768), (768, 3072), (3072, 768))
"""Inputs and outputs of the linear layers of a transformer of width 768."""


def matmul(m: int, k: int, n: int, *, transposed: str = "", dtype: PeakDType = "f32") -> Microbenchmark:
    """`aten.mm` of (m, k) and (k, n); "a" or "b" is read from its transpose."""
    kind = TORCH_DTYPES[dtype]

    def operands() -> tuple[Tensor, Tensor]:
        left = torch.rand(k, m, dtype=kind).t() if transposed == "a" else torch.rand(m, k, dtype=kind)
        right = torch.rand(n, k, dtype=kind).t() if transposed == "b" else torch.rand(k, n, dtype=kind)
        return left, right

    suffix = f" {transposed}^T" if transposed else ""
    return Microbenchmark(f"mm {m}x{k}x{n} {dtype}{suffix}", aten.mm.default, operands)


def batched_matmul(batch: int, m: int, k: int, n: int) -> Microbenchmark:
    """`aten.bmm` of (batch, m, k) and (batch, k, n)."""
    return Microbenchmark(
        f"bmm {batch}x{m}x{k}x{n}",
        aten.bmm.default,
        lambda: (torch.rand(batch, m, k), torch.rand(batch, k, n)),
    )


def attention(batch: int, heads: int, length: int, width: int, *, backward: bool = False) -> Microbenchmark:
    """Flash attention of torch on a CPU, or its gradients."""
    flash = aten._scaled_dot_product_flash_attention_for_cpu
    shape = (batch, heads, length, width)

    def operands() -> tuple[Any, ...]:
        query, key, value = (torch.rand(shape) for _ in range(3))
        if not backward:
            return query, key, value
        out, logsumexp = flash.default(query, key, value)
        return torch.rand(shape), query, key, value, out, logsumexp, 0.0, False

    op = aten._scaled_dot_product_flash_attention_for_cpu_backward if backward else flash
    name = f"attention {'x'.join(map(str, shape))}{' backward' * backward}"
    return Microbenchmark(name, op.default, operands)


def product_probes() -> Iterator[Microbenchmark]:
    """Yield products of every shape class: square, few rows, one row, weight gradients, heads, odd rows."""
    for rows in (128, 320):
        for k, n in _LAYERS:
            yield matmul(rows, k, n)
            yield matmul(rows, k, n, transposed="b")
            yield matmul(k, rows, n, transposed="a")
    for size in (64, 128, 256, 512, 1024):
        yield matmul(size, size, size)
    yield matmul(2048, 768, 3072, transposed="b")
    for rows in (1, 8, 32):
        for k, n in ((768, 3072), (3072, 768)):
            yield matmul(rows, k, n, transposed="b")
    yield matmul(1, 1280, 1000, transposed="b")
    # A vocabulary: forward, gradient of the input, gradient of the weight.
    for flag in ("", "b"):
        yield matmul(128, 768, 16384, transposed=flag)
    yield matmul(128, 16384, 768)
    yield matmul(5120, 128, 768, transposed="a")
    # Vocabularies are seldom a multiple of anything.
    for n in (3071, 16381):
        yield matmul(128, 768, n, transposed="b")
    yield matmul(320, 768, 3071, transposed="b")
    for batch, length in ((12, 128), (24, 256)):
        yield batched_matmul(batch, length, 64, length)
        yield batched_matmul(batch, length, length, 64)
    for size in (256, 1024):
        yield matmul(size, size, size, dtype="bf16")
    yield matmul(128, 768, 3072, transposed="b", dtype="bf16")
    for size in (256, 768):
        yield matmul(size, size, size, dtype="f64")


def attention_probes() -> Iterator[Microbenchmark]:
    """Yield attention over short and long sequences."""
    for shape in ((1, 12, 128, 64), (1, 12, 197, 64), (4, 12, 256, 64), (1, 8, 1024, 128)):
        for backward in (False, True):
            yield attention(*shape, backward=backward)
