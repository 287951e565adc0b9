"""Compare calibrated latencies with measured ones, for operations of GPT-2 and ResNet-50 training steps.

    python benchmarks/calibration_ops.py [DEVICE.toml]

Without a file the CPU is calibrated first. Prints one line an operation; the sums weigh long operations more.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from steelyard.hw.registry import load_device
from steelyard.hw.roofline import Roofline
from steelyard.hw.work import ExecutionContext, KernelWork, WorkKind
from steelyard.runtime.calibrate import calibrate
from steelyard.runtime.microbench import threads_set_to, typical_s
from steelyard.runtime.probes import Probe, attention, convolution, matmul, moving

aten = torch.ops.aten
Prepare = Callable[[], Callable[[], object]]


def pointwise(name: str, shape: tuple[int, ...], inputs: int, function: Callable[..., object]) -> Probe:
    size_bytes = 4 * torch.Size(shape).numel()

    def prepare() -> Callable[[], object]:
        operands = [torch.rand(shape) for _ in range(inputs)]
        return lambda: function(*operands)

    title = f"{name} {'x'.join(map(str, shape))}"
    probe = moving("pointwise", title, inputs * size_bytes, size_bytes, prepare)
    count = size_bytes // 4
    flops = {"transcendental_flops": count} if name in ("tanh", "exp") else {"pointwise_flops": count}
    return Probe(title, replace(probe.work, **flops), prepare)


def of(kind: WorkKind, name: str, reads: int, writes: int, prepare: Prepare) -> Probe:
    """Return a probe of an operation that reads and writes so many f32 numbers."""
    return moving(kind, name, 4 * reads, 4 * writes, prepare)


def gpt2() -> Iterator[Probe]:
    """Yield operations of GPT-2 training at batch 4, sequence 512."""
    rows, width, wide, vocabulary = 2048, 768, 3072, 50257
    yield matmul(rows, width, wide)
    yield matmul(rows, wide, width, transposed=True)
    yield matmul(width, rows, wide)
    yield matmul(rows, width, vocabulary, transposed=True)
    yield pointwise("pow", (rows, wide), 1, lambda x: aten.pow.Tensor_Scalar(x, 3.0))
    yield pointwise("tanh", (rows, wide), 1, aten.tanh.default)
    yield pointwise("mul", (rows, wide), 2, aten.mul.Tensor)
    yield pointwise("add", (rows, width), 2, aten.add.Tensor)
    size = rows * width
    norm = ([width], torch.rand(width), torch.rand(width))

    def layer_norm() -> Callable[[], object]:
        x = torch.rand(rows, width)
        return lambda: aten.native_layer_norm.default(x, *norm, 1e-5)

    def layer_norm_backward() -> Callable[[], object]:
        x, grad = torch.rand(rows, width), torch.rand(rows, width)
        _, mean, rstd = aten.native_layer_norm.default(x, *norm, 1e-5)
        return lambda: aten.native_layer_norm_backward.default(
            grad, x, norm[0], mean, rstd, *norm[1:], [True] * 3
        )

    def log_softmax() -> Callable[[], object]:
        x = torch.rand(rows, vocabulary)
        return lambda: aten._log_softmax.default(x, -1, False)

    def embedding_backward() -> Callable[[], object]:
        grad, index = torch.rand(rows, width), torch.randint(vocabulary, (rows,))
        return lambda: aten.embedding_dense_backward.default(grad, index, vocabulary, -1, False)

    def bias_gradient() -> Callable[[], object]:
        grad = torch.rand(rows, wide)
        return lambda: aten.sum.dim_IntList(grad, [0], True)

    yield of("normalization", "layer_norm", size, size, layer_norm)
    yield of("normalization", "layer_norm backward", 2 * size, size, layer_norm_backward)
    yield of("softmax", "log_softmax 2048x50257", rows * vocabulary, rows * vocabulary, log_softmax)
    yield of("scatter", "embedding backward", size, vocabulary * width, embedding_backward)
    yield of("reduction", "bias gradient", rows * wide, wide, bias_gradient)
    yield attention(4, 12, 512, 64)
    yield attention(4, 12, 512, 64, backward=True)

    def adamw() -> Callable[[], object]:
        # 124 million parameters in tensors of one layer's size.
        tensors = [[torch.rand(2**20) for _ in range(118)] for _ in range(4)]
        steps = [torch.ones(()) for _ in range(118)]
        options = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01, "eps": 1e-8}
        return lambda: aten._fused_adamw_.default(
            *tensors, [], steps, **options, amsgrad=False, maximize=False
        )

    parameters = 118 * 2**20
    work = KernelWork(
        kind="optimizer", dtype="f32", bytes_read=16 * parameters, bytes_written=12 * parameters
    )
    yield Probe("adamw 124M", work, adamw)


def resnet50() -> Iterator[Probe]:
    """Yield operations of ResNet-50 training at batch 8."""
    for image in ((8, 64, 64, 56, 3), (8, 256, 256, 14, 3), (8, 512, 128, 28, 1), (8, 1024, 256, 14, 1)):
        yield convolution(*image)
        yield convolution(*image, backward=True)
    shape = (8, 256, 56, 56)
    size = torch.Size(shape).numel()
    scale = torch.rand(256)

    def batch_norm() -> Callable[[], object]:
        x = torch.rand(shape)
        return lambda: aten.native_batch_norm.default(x, scale, scale, scale, scale, True, 0.1, 1e-5)

    def batch_norm_backward() -> Callable[[], object]:
        x, grad = torch.rand(shape), torch.rand(shape)
        return lambda: aten.native_batch_norm_backward.default(
            grad, x, scale, scale, scale, scale, scale, True, 1e-5, [True] * 3
        )

    def max_pool() -> Callable[[], object]:
        x = torch.rand(8, 64, 112, 112)
        return lambda: aten.max_pool2d_with_indices.default(x, [3, 3], [2, 2], [1, 1])

    yield of("normalization", "batch_norm", size, size, batch_norm)
    yield of("normalization", "batch_norm backward", 2 * size, size, batch_norm_backward)
    yield pointwise("relu", shape, 1, aten.relu.default)
    yield pointwise("threshold_backward", shape, 2, lambda g, x: aten.threshold_backward.default(g, x, 0))
    pooled = 8 * 64 * 56 * 56
    yield of("reduction", "max_pool 3x3", 4 * pooled, 3 * pooled, max_pool)


def main() -> None:
    device = load_device(sys.argv[1]) if len(sys.argv) > 1 else calibrate((torch.get_num_threads(),))
    threads = device.sustained_with(None).threads
    roofline = Roofline(device, ExecutionContext(threads=threads))
    within = count = 0
    with threads_set_to(threads or torch.get_num_threads()):
        for title, probes in (("GPT-2", gpt2()), ("ResNet-50", resnet50())):
            print(f"{title}, {threads} threads\n{'':46}{'predicted us':>13}{'measured us':>13}{'ratio':>7}")
            sums = [0.0, 0.0]
            for probe in probes:
                predicted_s = roofline.latency(probe.work).value_s
                measured_s = typical_s(probe.prepare(), kept_bytes=probe.work.allocated_bytes, budget_s=0.5)
                sums = [sums[0] + predicted_s, sums[1] + measured_s]
                count += 1
                within += 0.8 <= predicted_s / measured_s <= 1.25
                _print_row(probe.name, predicted_s, measured_s)
            _print_row("sum", *sums)
    print(f"{within} of {count} within 25 %")


def _print_row(name: str, predicted_s: float, measured_s: float) -> None:
    print(f"{name:46}{predicted_s * 1e6:13.1f}{measured_s * 1e6:13.1f}{predicted_s / measured_s:7.2f}")


if __name__ == "__main__":
    main()
