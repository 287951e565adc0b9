"""Memory that oneDNN's AVX2 convolutions take while they run, beside their operands and results.

Kernels are of f32 and work on blocks of 8 channels. Taken from ONEDNN_VERBOSE=1 and the allocation events of
`aten.convolution` and `aten.convolution_backward` (torch 2.13 with oneDNN 3.12 on an AMD EPYC of the Milan
generation, with one and two threads), with which benchmarks/convolution_memory.py compares it. Tables of a
few KiB are left out.
"""

from math import prod

from steelyard.hw.scratch.convolution import Convolution

_WIDEST_WINDOW = 14
_WIDEST_DEPTHWISE = 3
"""Above these the gradient of the weight is a GEMM over unrolled windows (`gemm:jit`)."""
_FEWEST_POINTS = 256
"""Of a result for each thread: with fewer, threads unroll images of their own instead of sharing one."""
_GEMM_WEIGHTS = 4
_STEPPED_CHANNELS = 64


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that is allocated at once, the result included."""
    result = sizes.plain_destination_bytes
    if sizes.channels_last:
        return result + _weight_copies_bytes(sizes, sizes.weight_bytes)
    source = 0 if sizes.is_image else sizes.source_bytes
    scratch = sizes.busy_threads * sizes.stepped_source_bytes
    return sizes.destination_bytes + max(source + sizes.weight_bytes + scratch, result)


def data_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the source has allocated at once, itself included."""
    result = sizes.plain_source_bytes
    is_strided = sizes.stride > 1 and sizes.groups == 1
    scratch = sizes.threads * sizes.destination_image_bytes(sizes.item_bytes) * is_strided
    if sizes.channels_last:
        return result + _weight_copies_bytes(sizes, sizes.strided_weight_bytes) + scratch
    if is_strided:  # the result has channels last, and is copied twice
        operands = sizes.plain_destination_bytes + sizes.strided_weight_bytes
        return max(operands + result + scratch, 3 * result)
    weight = sizes.weight_bytes if sizes.groups > 1 else sizes.strided_weight_bytes
    return sizes.source_bytes + max(sizes.destination_bytes + weight, result)


def weight_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the weight has allocated at once, itself included."""
    weight = sizes.weight_bytes
    is_depthwise = sizes.is_depthwise and max(sizes.window) > _WIDEST_DEPTHWISE
    if (
        is_depthwise and sizes.channels_last and min(sizes.image) >= max(sizes.window)
    ):  # every group's weight fills a block of both channels
        return (sizes.block**2 + 2) * weight
    if is_depthwise or max(sizes.window) > _WIDEST_WINDOW:
        copies = 2 if sizes.channels_last and not is_depthwise else 1
        unrolled = copies * sizes.unrolled_bytes
        return copies * weight + _gemm_threads(sizes) * (_GEMM_WEIGHTS * weight + unrolled)
    if sizes.channels_last and sizes.is_pointwise:
        sums = weight * sizes.threads * (sizes.threads > 1)
        return weight + max(2 * weight, sums + sizes.busy_threads * sizes.stepped_source_bytes)
    if sizes.channels_last:
        return (3 if sizes.is_depthwise else 4) * weight
    source = 0 if sizes.is_image else sizes.source_bytes
    return weight + max(sizes.destination_bytes + source + _pointwise_scratch_bytes(sizes), weight)


def _weight_copies_bytes(sizes: Convolution, blocked_bytes: int) -> int:
    """The weight in blocks, and before that with its channels last; a single point has them last already."""
    if sizes.is_depthwise:
        return sizes.weight_bytes
    return blocked_bytes + (0 if sizes.is_pointwise else sizes.plain_weight_bytes)


def _gemm_threads(sizes: Convolution) -> int:
    """Threads that unroll windows of their own."""
    is_shared = prod(sizes.result) // sizes.threads >= _FEWEST_POINTS
    return 1 if is_shared or (sizes.batch == 1 and sizes.groups == 1) else sizes.threads


def _pointwise_scratch_bytes(sizes: Convolution) -> int:
    """Scratch of a pointwise product: gradients that threads sum up, and what a stride leaves of a source."""
    if not sizes.is_pointwise:
        return 0
    if sizes.stride == 1:
        is_summed = sizes.weight_bytes < sizes.source_bytes + sizes.destination_bytes
        return sizes.threads * sizes.weight_bytes * is_summed
    channels = min(sizes.round_up(sizes.in_channels), _STEPPED_CHANNELS)
    return sizes.busy_threads * channels * prod(sizes.result) * sizes.item_bytes
