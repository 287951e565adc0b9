"""Memory that oneDNN's AVX2 convolutions take while they run, beside their operands and results.

Kernels are of f32 and work on blocks of 8 channels. Taken from ONEDNN_VERBOSE=1 and the allocation events of
`aten.convolution` and `aten.convolution_backward` (torch 2.13 with oneDNN 3.12 on an AMD EPYC of the Milan
generation, with one and two threads), with which benchmarks/convolution_memory.py compares it. Where the
generated kernels do not apply, it is a GEMM over unrolled windows (`gemm:jit`). Tables of a few KiB are left
out.
"""

from math import prod

from steelyard.hw.base.units import KIB
from steelyard.hw.scratch.convolution import Convolution

_WIDEST_WINDOW = 14
_WIDEST_DEPTHWISE = 3
"""Above these the gradient of the weight is a GEMM."""
_WIDEST_RIM = 3
"""Points of padding at the end of a row, above which the forward is a GEMM."""
_WIDEST_GRADIENT_RIM = 12
"""The same of the gradient of the source."""
_FEWEST_POINTS = 256
"""Of a plane of the result for each thread: with fewer, threads unroll images of their own."""
_FORWARD_COLUMNS_BYTES = 256 * KIB
"""The most that a thread unrolls at once in the forward, by the size of its cache."""
_GEMM_WEIGHTS = 4
_STEPPED_CHANNELS = 64
_STRIDED_GROUP = 8
"""Channels of a group up to which the gradient of a strided source is computed as that of any other one."""
_STRIDED_TABLES_BYTES = 26 * KIB
"""Of each thread that computes the gradient of a strided source; 14 to 45 were seen."""
_PAGE_BYTES = 4 * KIB


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that is allocated at once, the result included."""
    result = sizes.plain_destination_bytes
    if sizes.channels_last:
        return result + _weight_copies_bytes(sizes, sizes.weight_bytes)
    if _has_partial_blocks(sizes) or (sizes.padding[-1] > _WIDEST_RIM and not sizes.is_depthwise):
        columns = sizes.threads * min(sizes.unrolled_plane_bytes, _FORWARD_COLUMNS_BYTES)
        return result + max(columns, result)
    source = 0 if sizes.is_image else sizes.source_bytes
    if sizes.is_depthwise and sizes.is_volume:  # the result has channels last, and is copied twice
        return result + max(source + sizes.weight_bytes, 2 * result)
    scratch = sizes.busy_threads * sizes.stepped_source_bytes
    return sizes.destination_bytes + max(source + sizes.weight_bytes + scratch, result)


def data_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the source has allocated at once, itself included."""
    result = sizes.plain_source_bytes
    is_strided = sizes.is_strided and (
        sizes.groups == 1 or sizes.out_channels // sizes.groups > _STRIDED_GROUP
    )
    image = -(-sizes.padded_destination_image_bytes // _PAGE_BYTES) * _PAGE_BYTES
    scratch = sizes.threads * (image + _STRIDED_TABLES_BYTES) * is_strided
    if sizes.channels_last:
        return result + _weight_copies_bytes(sizes, sizes.strided_weight_bytes) + scratch
    is_plain_depthwise = sizes.is_depthwise and (sizes.is_volume or sizes.is_dilated)
    rim = sizes.dilation[-1] * (sizes.window[-1] - 1) - sizes.padding[-1]
    is_wide = max(sizes.padding[-1], rim) > _WIDEST_GRADIENT_RIM
    if _has_partial_blocks(sizes) or is_plain_depthwise or (is_wide and not is_strided):
        return result + max(sizes.threads * sizes.unrolled_plane_bytes, result)
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
    is_padded_volume = sizes.is_volume and (sizes.padding[0] > 0 or sizes.is_depthwise)
    is_gemm = is_depthwise or is_padded_volume or sizes.is_dilated or _has_partial_blocks(sizes)
    if is_gemm or max(sizes.window) > _WIDEST_WINDOW:
        weight = sizes.plain_weight_bytes
        copies = 2 if sizes.channels_last and not is_depthwise else 1
        unrolled = copies * sizes.unrolled_plane_bytes
        return copies * weight + _gemm_threads(sizes) * (_GEMM_WEIGHTS * weight + unrolled)
    if sizes.channels_last and sizes.is_pointwise:
        sums = weight * sizes.threads * (sizes.threads > 1)
        return weight + max(2 * weight, sums + sizes.busy_threads * sizes.stepped_source_bytes)
    if sizes.channels_last:
        return (3 if sizes.is_depthwise else 4) * weight
    is_image = sizes.is_image and sizes.in_channels > 1
    source = 0 if is_image else sizes.source_bytes
    blocked = weight if is_image or sizes.groups > 1 else sizes.strided_weight_bytes
    scratch = sizes.destination_bytes + source + _pointwise_scratch_bytes(sizes)
    return blocked + max(scratch, sizes.plain_weight_bytes)


def _has_partial_blocks(sizes: Convolution) -> bool:
    """Whether the channels of a group end within a block."""
    inner, outer = sizes.in_channels // sizes.groups, sizes.out_channels // sizes.groups
    return sizes.groups > 1 and not sizes.is_depthwise and bool(inner % sizes.block or outer % sizes.block)


def _weight_copies_bytes(sizes: Convolution, blocked_bytes: int) -> int:
    """The weight in blocks, and before that with its channels last; a single point has them last already."""
    if sizes.is_depthwise:
        return sizes.weight_bytes
    return blocked_bytes + (0 if sizes.is_pointwise else sizes.plain_weight_bytes)


def _gemm_threads(sizes: Convolution) -> int:
    """Threads that unroll windows of their own."""
    is_shared = prod(sizes.result[-2:]) // sizes.threads >= _FEWEST_POINTS
    return 1 if is_shared or (sizes.batch == 1 and sizes.groups == 1) else sizes.threads


def _pointwise_scratch_bytes(sizes: Convolution) -> int:
    """Scratch of a pointwise product: gradients that threads sum up, and what a stride leaves of a source."""
    if not sizes.is_pointwise or (sizes.is_strided and sizes.is_volume):
        return 0
    if not sizes.is_strided:
        is_summed = sizes.weight_bytes < sizes.source_bytes + sizes.destination_bytes
        return sizes.threads * sizes.weight_bytes * is_summed
    channels = min(sizes.round_up(sizes.in_channels), _STEPPED_CHANNELS)
    return sizes.busy_threads * channels * prod(sizes.result) * sizes.item_bytes
