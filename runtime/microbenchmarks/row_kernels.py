"""Microbenchmarks of row kernels: norms, softmax, sums and pointwise functions."""

# pyright: standard

from collections.abc import Iterator
from typing import Any

import torch

from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark

aten = torch.ops.aten


def row_probes() -> Iterator[Microbenchmark]:
    """Yield transformer kernels over the rows of a few sequences."""
    for rows, width in ((128, 768), (512, 768), (2048, 768)):
        yield from _norms(rows, width)
    for rows, width in ((1536, 128), (128, 8192), (512, 8192)):
        yield from _softmaxes(rows, width)
    for rows, width in ((128, 768), (128, 3072), (1024, 3072)):
        yield Microbenchmark(
            f"sum over rows {rows}x{width}", aten.sum.dim_IntList, _randoms((rows, width), 1, [0], True)
        )
    yield Microbenchmark("sum over columns 512x768", aten.sum.dim_IntList, _randoms((512, 768), 1, [1], True))


def pointwise_probes() -> Iterator[Microbenchmark]:
    """Yield elementwise functions with few and many operations."""
    for shape in ((128, 768), (128, 3072), (512, 3072), (1, 256, 56, 56)):
        for name, op, tensors, rest in (
            ("add", aten.add.Tensor, 2, ()),
            ("add in place", aten.add_.Tensor, 2, ()),
            ("mul by a number", aten.mul.Tensor, 1, (0.5,)),
            ("relu in place", aten.relu_.default, 1, ()),
            ("hardtanh", aten.hardtanh.default, 1, (0.0, 6.0)),
            ("gelu", aten.gelu.default, 1, ()),
            ("gelu backward", aten.gelu_backward.default, 2, ()),
            ("tanh", aten.tanh.default, 1, ()),
            ("silu", aten.silu.default, 1, ()),
            ("threshold backward", aten.threshold_backward.default, 2, (0,)),
        ):
            yield Microbenchmark(f"{name} {'x'.join(map(str, shape))}", op, _randoms(shape, tensors, *rest))


def _norms(rows: int, width: int) -> Iterator[Microbenchmark]:
    def operands() -> tuple[Any, ...]:
        scale = torch.rand(width)
        return torch.rand(rows, width), [width], scale, scale.clone(), 1e-5

    def backward_operands() -> tuple[Any, ...]:
        x, shape, scale, shift, epsilon = operands()
        _, mean, rstd = aten.native_layer_norm.default(x, shape, scale, shift, epsilon)
        return torch.rand(rows, width), x, shape, mean, rstd, scale, shift, [True, True, True]

    name = f"{rows}x{width}"
    yield Microbenchmark(f"layer_norm {name}", aten.native_layer_norm.default, operands)
    yield Microbenchmark(
        f"layer_norm backward {name}", aten.native_layer_norm_backward.default, backward_operands
    )


def _softmaxes(rows: int, width: int) -> Iterator[Microbenchmark]:
    name = f"{rows}x{width}"

    def backward_operands() -> tuple[Any, ...]:
        return torch.rand(rows, width), torch.rand(rows, width), -1, torch.float32

    for op in ("_softmax", "_log_softmax"):
        forward, backward = getattr(aten, op), getattr(aten, f"{op}_backward_data")
        yield Microbenchmark(f"{op} {name}", forward.default, _randoms((rows, width), 1, -1, False))
        yield Microbenchmark(f"{op} backward {name}", backward.default, backward_operands)


def _randoms(shape: tuple[int, ...], tensors: int, *rest: Any) -> Any:
    return lambda: (*(torch.rand(shape) for _ in range(tensors)), *rest)
