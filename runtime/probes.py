"""Operations of known work that show how fast a CPU is under torch: what `calibrate` times.

Work is counted as everywhere in Steelyard: 1 MAC = 2 FLOPs, every input and output moved once. Sizes
come from transformers and convolutional networks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steelyard.hw.device import PeakDType, RateKind
from steelyard.hw.work import KernelWork, WorkKind

aten = torch.ops.aten
TORCH_DTYPES: dict[PeakDType, torch.dtype] = {
    "f64": torch.float64,
    "f32": torch.float32,
    "bf16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Probe:
    """One operation to time.

    Attributes:
        name: What it is, for people.
        work: The work of one call.
        prepare: Makes the operands and returns the call.
    """

    name: str
    work: KernelWork
    prepare: Callable[[], Callable[[], object]]


def matmul(m: int, k: int, n: int, *, transposed: bool = False, dtype: PeakDType = "f32") -> Probe:
    """Return `aten.mm` of (m, k) and (k, n); `transposed` reads the second from (n, k)."""
    kind = TORCH_DTYPES[dtype]

    def prepare() -> Callable[[], Tensor]:
        left = torch.rand(m, k, dtype=kind)
        right = torch.rand(n, k, dtype=kind).t() if transposed else torch.rand(k, n, dtype=kind)
        return lambda: aten.mm.default(left, right)

    size = kind.itemsize
    work = KernelWork(
        kind="contraction",
        dtype=dtype,
        contraction_flops=2 * m * k * n,
        bytes_read=size * (m * k + k * n),
        bytes_written=size * m * n,
        allocated_bytes=size * m * n,
    )
    return Probe(f"mm {m}x{k}x{n} {dtype}{' transposed' * transposed}", work, prepare)


def convolution(
    batch: int,
    channels: int,
    filters: int,
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    depthwise: bool = False,
    backward: bool = False,
) -> Probe:
    """Return a square convolution with "same" padding, or both of its gradients in one operation."""
    groups = channels if depthwise else 1
    out = (size + stride - 1) // stride
    input_size, output_size = batch * channels * size**2, batch * filters * out**2
    weight_size = filters * (channels // groups) * kernel**2

    def prepare() -> Callable[[], object]:
        image = torch.rand(batch, channels, size, size)
        weight = torch.rand(filters, channels // groups, kernel, kernel)
        where = ([stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], groups)
        if not backward:
            return lambda: aten.convolution.default(image, weight, None, *where)
        grad = torch.rand(batch, filters, out, out)
        mask = [True, True, False]
        return lambda: aten.convolution_backward.default(grad, image, weight, None, *where, mask)

    written = input_size + weight_size if backward else output_size
    work = KernelWork(
        kind="depthwise_convolution" if depthwise else "convolution",
        dtype="f32",
        contraction_flops=(4 if backward else 2) * output_size * (channels // groups) * kernel**2,
        bytes_read=4 * (input_size + weight_size + output_size * backward),
        bytes_written=4 * written,
        allocated_bytes=4 * written,
    )
    name = f"{'depthwise ' * depthwise}conv{kernel}x{kernel}/{stride} {batch}x{channels}->{filters} {size}px"
    return Probe(name + " backward" * backward, work, prepare)


def attention(batch: int, heads: int, length: int, width: int, *, backward: bool = False) -> Probe:
    """Return flash attention, or its gradients; 2 products forward, 5 backward, one exp a score."""
    shape = (batch, heads, length, width)
    tensor_bytes = 4 * batch * heads * length * width
    scores = batch * heads * length**2

    def prepare() -> Callable[[], object]:
        query, key, value = (torch.rand(shape) for _ in range(3))
        flash = aten._scaled_dot_product_flash_attention_for_cpu
        if not backward:
            return lambda: flash.default(query, key, value)
        out, lse = flash.default(query, key, value)
        flash_backward = aten._scaled_dot_product_flash_attention_for_cpu_backward.default
        return lambda: flash_backward(out, query, key, value, out, lse, 0.0, False)

    work = KernelWork(
        kind="attention",
        dtype="f32",
        contraction_flops=2 * (5 if backward else 2) * scores * width,
        transcendental_flops=scores,
        bytes_read=(5 if backward else 3) * tensor_bytes,
        bytes_written=(3 if backward else 1) * tensor_bytes,
        allocated_bytes=(3 if backward else 1) * tensor_bytes,
    )
    return Probe(f"attention {batch}x{heads}x{length}x{width}" + " backward" * backward, work, prepare)


def moving(
    kind: WorkKind,
    name: str,
    read_bytes: int,
    written_bytes: int,
    prepare: Callable[[], Callable[[], object]],
) -> Probe:
    """Return an operation whose time is that of its memory; all that it writes is newly allocated."""
    work = KernelWork(
        kind=kind,
        dtype="f32",
        bytes_read=read_bytes,
        bytes_written=written_bytes,
        allocated_bytes=written_bytes,
    )
    return Probe(name, work, prepare)


def rate_probes() -> dict[tuple[RateKind, PeakDType], list[Probe]]:
    """Return what shows the rates of multiply-accumulate chains, by kind and type."""
    shapes = ((2048, 768, 768), (768, 2048, 3072), (2048, 768, 3072), (2048, 3072, 768), (512, 768, 16384))
    matmuls = [matmul(size, size, size) for size in (64, 128, 256, 512, 1024, 2048)]
    matmuls += [matmul(*shape, transposed=flag) for shape in shapes for flag in (False, True)]
    residual = ((64, 56, 3), (128, 28, 3), (256, 14, 3), (512, 7, 3))
    images = [(batch, wide, wide, size, kernel) for batch in (1, 8) for wide, size, kernel in residual]
    stem = (3, 64, 224, 7)
    images += [
        (batch, *shape, 1)
        for batch in (1, 8)
        for shape in ((64, 256, 56), (512, 128, 28), (128, 512, 28), (1024, 256, 14), (512, 2048, 7))
    ]
    both = (False, True)
    thin = ((1, 96, 56, 3), (8, 144, 28, 3), (8, 384, 14, 3), (8, 96, 56, 7))
    heads = ((1, 12, 128, 64), (4, 12, 512, 64), (1, 16, 1024, 64), (1, 8, 2048, 128))
    return {
        ("contraction", "f32"): matmuls,
        ("contraction", "f64"): [matmul(512, 512, 512, dtype="f64")],
        ("contraction", "bf16"): [
            *(matmul(size, size, size, dtype="bf16") for size in (128, 512, 1024, 2048)),
            matmul(2048, 768, 3072, transposed=True, dtype="bf16"),
        ],
        ("convolution", "f32"): [
            *(convolution(*image, backward=flag) for image in images for flag in both),
            *(convolution(batch, *stem, stride=2, backward=flag) for batch in (1, 8) for flag in both),
        ],
        ("depthwise_convolution", "f32"): [
            convolution(batch, wide, wide, size, kernel, depthwise=True, backward=flag)
            for batch, wide, size, kernel in thin
            for flag in both
        ],
        ("attention", "f32"): [attention(*shape, backward=flag) for shape in heads for flag in both],
    }


def memory_probes() -> Iterator[Probe]:
    """Yield what shows which part of the streaming rate each kind of kernel reaches."""
    for rows, width in ((128, 768), (2048, 768), (2048, 3072), (2048, 16384)):
        yield from _row_probes(rows, width)
    for shape in ((8, 64, 14, 14), (8, 256, 14, 14), (8, 256, 56, 56)):
        yield from _image_probes(shape)
    for rows, width, vocabulary in ((128, 768, 1024), (2048, 768, 4096), (2048, 768, 50257)):
        yield from _table_probes(rows, width, vocabulary)
    for elements in (2**16, 2**20, 2**24):
        yield _optimizer_probe(elements)


def _row_probes(rows: int, width: int) -> Iterator[Probe]:
    shape = (rows, width)
    tensor_bytes = 4 * rows * width
    name = f"{rows}x{width}"

    def data() -> tuple[Tensor, Tensor]:
        x = torch.rand(shape)
        return x, x.clone()

    def softmax() -> Callable[[], Tensor]:
        x, _ = data()
        return lambda: aten._softmax.default(x, -1, False)

    def log_softmax() -> Callable[[], Tensor]:
        x, _ = data()
        return lambda: aten._log_softmax.default(x, -1, False)

    def log_softmax_backward() -> Callable[[], Tensor]:
        x, grad = data()
        return lambda: aten._log_softmax_backward_data.default(grad, x, -1, torch.float32)

    def layer_norm() -> Callable[[], object]:
        x, _ = data()
        weight = torch.rand(width)
        return lambda: aten.native_layer_norm.default(x, [width], weight, weight, 1e-5)

    def layer_norm_backward() -> Callable[[], object]:
        x, grad = data()
        weight = torch.rand(width)
        _, mean, rstd = aten.native_layer_norm.default(x, [width], weight, weight, 1e-5)
        mask = [True, True, True]
        return lambda: aten.native_layer_norm_backward.default(
            grad, x, [width], mean, rstd, weight, weight, mask
        )

    def reduce(dim: int) -> Callable[[], Callable[[], Tensor]]:
        def prepare() -> Callable[[], Tensor]:
            x, _ = data()
            return lambda: aten.sum.dim_IntList(x, [dim])

        return prepare

    def transpose() -> Callable[[], Tensor]:
        x, _ = data()
        return lambda: aten.clone.default(x.t(), memory_format=torch.contiguous_format)

    def heads() -> Callable[[], Tensor]:
        x = torch.rand(rows, width // 64, 64).transpose(0, 1)
        return lambda: aten.clone.default(x, memory_format=torch.contiguous_format)

    def concatenate() -> Callable[[], Tensor]:
        left, right = torch.rand(rows, width // 2), torch.rand(rows, width // 2)
        return lambda: aten.cat.default([left, right], 1)

    def dropout() -> Callable[[], object]:
        x, _ = data()
        return lambda: aten.native_dropout.default(x, 0.1, True)

    twice = 2 * tensor_bytes
    yield moving("softmax", f"softmax {name}", tensor_bytes, tensor_bytes, softmax)
    yield moving("softmax", f"log_softmax {name}", tensor_bytes, tensor_bytes, log_softmax)
    yield moving("softmax", f"log_softmax backward {name}", twice, tensor_bytes, log_softmax_backward)
    yield moving("normalization", f"layer_norm {name}", tensor_bytes, tensor_bytes, layer_norm)
    yield moving("normalization", f"layer_norm backward {name}", twice, tensor_bytes, layer_norm_backward)
    yield moving("reduction", f"sum over rows {name}", tensor_bytes, 4 * width, reduce(0))
    yield moving("reduction", f"sum over columns {name}", tensor_bytes, 4 * rows, reduce(1))
    yield moving("copy", f"transpose {name}", tensor_bytes, tensor_bytes, transpose)
    yield moving("copy", f"split heads {name}", tensor_bytes, tensor_bytes, heads)
    yield moving("copy", f"cat {name}", tensor_bytes, tensor_bytes, concatenate)
    yield moving("random", f"dropout {name}", tensor_bytes, tensor_bytes + rows * width, dropout)


def _image_probes(shape: tuple[int, int, int, int]) -> Iterator[Probe]:
    channels = shape[1]
    tensor_bytes = 4 * torch.Size(shape).numel()
    name = "x".join(map(str, shape))

    def batch_norm() -> Callable[[], object]:
        x, scale = torch.rand(shape), torch.rand(channels)
        running = (torch.rand(channels), torch.rand(channels))
        return lambda: aten.native_batch_norm.default(x, scale, scale, *running, True, 0.1, 1e-5)

    def batch_norm_backward() -> Callable[[], object]:
        x, grad, scale = torch.rand(shape), torch.rand(shape), torch.rand(channels)
        saved = (torch.rand(channels), torch.rand(channels))
        return lambda: aten.native_batch_norm_backward.default(
            grad, x, scale, *saved, *saved, True, 1e-5, [True, True, True]
        )

    def mean() -> Callable[[], Tensor]:
        x = torch.rand(shape)
        return lambda: aten.mean.dim(x, [-1, -2], True)

    yield moving("normalization", f"batch_norm {name}", tensor_bytes, tensor_bytes, batch_norm)
    yield moving(
        "normalization", f"batch_norm backward {name}", 2 * tensor_bytes, tensor_bytes, batch_norm_backward
    )
    yield moving("reduction", f"mean over pixels {name}", tensor_bytes, 4 * shape[0] * channels, mean)


def _table_probes(rows: int, width: int, vocabulary: int) -> Iterator[Probe]:
    row_bytes, table_bytes = 4 * rows * width, 4 * vocabulary * width

    def embedding() -> Callable[[], Tensor]:
        table, index = torch.rand(vocabulary, width), torch.randint(vocabulary, (rows,))
        return lambda: aten.embedding.default(table, index)

    def embedding_backward() -> Callable[[], Tensor]:
        grad, index = torch.rand(rows, width), torch.randint(vocabulary, (rows,))
        return lambda: aten.embedding_dense_backward.default(grad, index, vocabulary, -1, False)

    name = f"{rows} of {vocabulary}x{width}"
    yield moving("gather", f"embedding {name}", row_bytes + 8 * rows, row_bytes, embedding)
    yield moving(
        "scatter", f"embedding backward {name}", row_bytes + 8 * rows, table_bytes, embedding_backward
    )


def _optimizer_probe(elements: int) -> Probe:
    def prepare() -> Callable[[], object]:
        tensors = [[torch.rand(elements)] for _ in range(4)]
        step = [torch.ones(())]
        return lambda: aten._fused_adamw_.default(
            *tensors, [], step, lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.01, eps=1e-8, amsgrad=False,
            maximize=False,
        )  # fmt: skip

    work = KernelWork(kind="optimizer", dtype="f32", bytes_read=16 * elements, bytes_written=12 * elements)
    return Probe(f"adamw {elements}", work, prepare)
