"""Microbenchmarks of memory-bound kernels: batch norms, copies, embeddings, losses, optimizer."""

# pyright: standard

from collections.abc import Iterator
from typing import Any

import torch

from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark

aten = torch.ops.aten
_PARAMETER_SHAPES = ((768, 768), (768,), (3072, 768), (3072,))

_PARAMETERS = 160
_ADAMW: dict[str, Any] = {
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.01,
    "eps": 1e-8,
    "amsgrad": False,
    "maximize": False,
}


def image_probes() -> Iterator[Microbenchmark]:
    """Yield kernels over the pixels of each channel."""
    for shape in ((1, 960, 7, 7), (1, 256, 14, 14), (1, 64, 56, 56), (1, 256, 56, 56), (4, 96, 112, 112)):
        yield from _batch_norms(shape)
    for channels, size in ((2048, 7), (256, 56)):
        shape = (4, channels, size, size)
        yield Microbenchmark(f"mean over pixels {shape}", aten.mean.dim, _image(shape, [-1, -2], True))
    yield Microbenchmark(
        "max_pool", aten.max_pool2d_with_indices.default, _image((1, 64, 112, 112), [3, 3], [2, 2], [1, 1])
    )


def copy_probes() -> Iterator[Microbenchmark]:
    """Yield layout changes, paddings and concatenations."""
    dense = {"memory_format": torch.contiguous_format}
    for rows, width in ((128, 768), (512, 768), (2048, 3072)):
        name = f"{rows}x{width}"
        yield Microbenchmark(f"split heads {name}", aten.clone.default, _heads(rows, width), options=dense)
        yield Microbenchmark(f"cat {name}", aten.cat.default, _halves(rows, width))
    for channels, size in ((96, 112), (384, 14)):
        yield Microbenchmark(
            f"pad {channels}x{size}",
            aten.constant_pad_nd.default,
            _image((1, channels, size, size), [0, 1] * 2),
        )


def table_probes() -> Iterator[Microbenchmark]:
    """Yield embeddings and classification losses, with gradients."""
    for rows, width, vocabulary in ((128, 768, 4096), (512, 768, 8192)):
        yield from _tables(rows, width, vocabulary)


def random_probes() -> Iterator[Microbenchmark]:
    """Yield dropout."""
    for shape in ((128, 768), (512, 3072)):
        yield Microbenchmark(f"dropout {shape}", aten.native_dropout.default, _image(shape, 0.1, True))


def optimizer_probes() -> Iterator[Microbenchmark]:
    """Yield AdamW steps over a network's number of tensors, small and large."""
    for layers, divisor in ((40, 16), (40, 4), (16, 1)):
        name = f"adamw {layers} layers over {divisor}"
        yield Microbenchmark(name, aten._fused_adamw_.default, _adamw(layers, divisor), options=_ADAMW)
    yield Microbenchmark(
        "count steps", aten._foreach_add_.Scalar, lambda: ([torch.ones(()) for _ in range(_PARAMETERS)], 1)
    )


def _batch_norms(shape: tuple[int, int, int, int]) -> Iterator[Microbenchmark]:
    def operands(training: bool) -> tuple[Any, ...]:
        vectors = [torch.rand(shape[1]) + 0.5 for _ in range(4)]
        return torch.rand(shape), *vectors, training, 0.1, 1e-5

    def backward_operands() -> tuple[Any, ...]:
        vectors = [torch.rand(shape[1]) + 0.5 for _ in range(5)]
        return torch.rand(shape), torch.rand(shape), *vectors, True, 1e-5, [True, True, True]

    name = "x".join(map(str, shape))
    yield Microbenchmark(f"batch_norm {name}", aten.native_batch_norm.default, lambda: operands(True))
    yield Microbenchmark(
        f"batch_norm inference {name}", aten.native_batch_norm.default, lambda: operands(False)
    )
    yield Microbenchmark(
        f"batch_norm backward {name}", aten.native_batch_norm_backward.default, backward_operands
    )


def _tables(rows: int, width: int, vocabulary: int) -> Iterator[Microbenchmark]:
    def embedding() -> tuple[Any, ...]:
        return torch.rand(vocabulary, width), torch.randint(vocabulary, (rows,))

    def embedding_backward() -> tuple[Any, ...]:
        return torch.rand(rows, width), torch.randint(vocabulary, (rows,)), vocabulary, -1, False

    def loss_backward() -> tuple[Any, ...]:
        target = torch.randint(vocabulary, (rows,))
        return torch.rand(()), torch.rand(rows, vocabulary), target, None, 1, -100, torch.tensor(float(rows))

    name = f"{rows} of {vocabulary}x{width}"
    yield Microbenchmark(f"embedding {name}", aten.embedding.default, embedding, produced=1)
    yield Microbenchmark(
        f"embedding backward {name}", aten.embedding_dense_backward.default, embedding_backward
    )
    yield Microbenchmark(
        f"nll_loss backward {rows}x{vocabulary}", aten.nll_loss_backward.default, loss_backward
    )


def _image(shape: tuple[int, ...], *rest: Any) -> Any:
    return lambda: (torch.rand(shape), *rest)


def _heads(rows: int, width: int) -> Any:
    # Heads side by side in a row, one after the other in the result.
    return lambda: (torch.rand(rows, width // 64, 64).transpose(0, 1),)


def _halves(rows: int, width: int) -> Any:
    return lambda: ([torch.rand(rows, width // 2), torch.rand(rows, width // 2)], 1)


def _adamw(layers: int, divisor: int) -> Any:
    def operands() -> tuple[Any, ...]:
        shapes = [(shape[0] // divisor, *shape[1:]) for _ in range(layers) for shape in _PARAMETER_SHAPES]
        state = [[torch.rand(shape) for shape in shapes] for _ in range(4)]
        return *state, [], [torch.ones(()) for _ in shapes]

    return operands
