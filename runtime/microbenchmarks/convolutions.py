"""Microbenchmarks of convolutions with few and many channels, and of their gradients."""

# pyright: standard

from collections.abc import Iterator
from typing import Any

import torch

from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark

aten = torch.ops.aten

_RESIDUAL = ((64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 3), (512, 512, 7, 3))
_BOTTLENECK = ((64, 256, 56, 1), (512, 128, 28, 1), (1024, 256, 14, 1), (512, 2048, 7, 1), (2048, 512, 7, 1))
_INVERTED = ((16, 96, 112, 1), (144, 24, 56, 1), (32, 192, 28, 1), (384, 64, 14, 1), (960, 160, 7, 1))
_STRIDED = (
    (128, 128, 56, 3), (256, 256, 28, 3), (512, 512, 14, 3),
    (256, 512, 56, 1), (512, 1024, 28, 1), (1024, 2048, 14, 1),
)  # fmt: skip
_DEPTHWISE = ((32, 112, 1), (96, 112, 2), (144, 56, 1), (192, 28, 1), (384, 14, 1), (960, 7, 1))


def convolution(
    batch: int,
    channels: int,
    filters: int,
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    backward: bool = False,
) -> Microbenchmark:
    """A square convolution, or all of its gradients in one operation.

    Windows are padded so that the result has the size of the image over the stride; where they do not overlap
    (the patches of a transformer), nothing is padded.
    """
    padding = (kernel - 1) // 2 if stride < kernel else 0
    where = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)

    def operands() -> tuple[Any, ...]:
        image = torch.rand(batch, channels, size, size)
        weight = torch.rand(filters, channels // groups, kernel, kernel)
        if not backward:
            return image, weight, None, *where
        grad = torch.rand_like(aten.convolution.default(image, weight, None, *where))
        return grad, image, weight, None, *where, [channels > 3, True, False]

    op = aten.convolution_backward.default if backward else aten.convolution.default
    kind = f"conv{kernel}x{kernel}/{stride}" + f" in {groups} groups" * (groups > 1)
    return Microbenchmark(
        f"{kind} {batch}x{channels}->{filters} {size}px{' backward' * backward}", op, operands
    )


def convolution_probes() -> Iterator[Microbenchmark]:
    """Yield convolutions of residual networks, of inverted residuals, and of patches."""
    for backward in (False, True):
        for shape in (*_RESIDUAL, *_BOTTLENECK, *_INVERTED):
            yield convolution(1, *shape, backward=backward)
        for shape in (*_RESIDUAL[::2], *_BOTTLENECK[::2], *_INVERTED[1::2]):
            yield convolution(4, *shape, backward=backward)
        for shape in _STRIDED:
            yield convolution(1, *shape, stride=2, backward=backward)
        yield convolution(1, 3, 64, 224, 7, stride=2, backward=backward)
        yield convolution(1, 3, 32, 224, 3, stride=2, backward=backward)
        yield convolution(1, 3, 768, 224, 16, stride=16, backward=backward)


def depthwise_probes() -> Iterator[Microbenchmark]:
    """Yield depthwise convolutions."""
    for backward in (False, True):
        for channels, size, stride in _DEPTHWISE:
            yield convolution(
                1, channels, channels, size, 3, stride=stride, groups=channels, backward=backward
            )
        yield convolution(4, 144, 144, 56, 3, groups=144, backward=backward)
        yield convolution(1, 96, 96, 56, 7, groups=96, backward=backward)
