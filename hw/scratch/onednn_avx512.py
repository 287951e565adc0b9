"""Memory that oneDNN's AVX-512 convolutions take while they run, beside their operands and results.

Operands in PyTorch's plain layout are copied into blocks of 16 channels, and the result is copied out. Some
kernels need scratch for each thread on top. Taken from the allocation events of `aten.convolution` and
`aten.convolution_backward` (torch 2.13 with oneDNN on AVX-512 CPUs without AMX, f32 and bf16), with which
benchmarks/convolution_memory.py compares it. Tables of a few KiB are left out.
"""

from math import prod

from steelyard.hw.scratch.convolution import ACCUMULATOR_BYTES, Convolution

_WIDEST_WINDOW = 14
"""Above that the gradient of the weight is a GEMM over unrolled windows; with half precision above 16."""
_WIDEST_WINDOW_HALF = 16
_WIDEST_DEPTHWISE = 3
"""Above that the gradient of a depthwise convolution's weight needs no copies."""
_DEPTHWISE_SOURCES = 16


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that is allocated at once, the result included."""
    if sizes.channels_last:
        return sizes.destination_bytes + (0 if sizes.is_depthwise else 2 * sizes.weight_bytes)
    source = 0 if sizes.is_image else sizes.source_bytes
    weight = sizes.weight_bytes
    if sizes.is_image and sizes.is_half:  # channels in pairs
        weight = weight * (sizes.in_channels + sizes.in_channels % 2) // sizes.in_channels
    scratch = sizes.stepped_source_bytes
    if sizes.is_pointwise and sizes.is_half:
        scratch += sizes.destination_image_bytes(ACCUMULATOR_BYTES)
    destination = sizes.destination_bytes
    first = source + weight + destination + sizes.busy_threads * scratch
    return max(first, 2 * destination)


def data_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the source has allocated at once, itself included."""
    if sizes.channels_last:
        if sizes.is_depthwise:
            return sizes.source_bytes
        scratch = sizes.threads * sizes.destination_image_bytes(sizes.item_bytes) * sizes.is_strided
        return sizes.source_bytes + 2 * sizes.weight_bytes + scratch
    if (sizes.is_strided and (sizes.groups == 1 or sizes.is_half)) or sizes.is_image:
        # The result has channels last, and is copied twice.
        source, weight = sizes.plain_source_bytes, sizes.strided_weight_bytes
        scratch = sizes.threads * sizes.destination_image_bytes(sizes.item_bytes)
        return max(sizes.destination_bytes + weight + source + scratch, 3 * source)
    scratch = sizes.source_image_bytes(ACCUMULATOR_BYTES) if sizes.is_half and sizes.is_pointwise else 0
    first = sizes.destination_bytes + sizes.weight_bytes + sizes.source_bytes + sizes.busy_threads * scratch
    return max(first, 2 * sizes.source_bytes)


def weight_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the weight has allocated at once, itself included."""
    weight = sizes.weight_bytes
    if sizes.channels_last:
        if not sizes.is_depthwise:
            return (5 if sizes.is_half else 3) * weight
        copies = sizes.block**2  # of the weight's gradient, which are summed up in the end
        if not sizes.is_half:
            return copies * weight
        # The copies are there in both types, and the source in pieces that overlap.
        return 3 * copies * weight + _DEPTHWISE_SOURCES * sizes.source_bytes
    if sizes.is_depthwise and max(sizes.window) > _WIDEST_DEPTHWISE:
        return 2 * weight
    if max(sizes.window) > (_WIDEST_WINDOW_HALF if sizes.is_half else _WIDEST_WINDOW):
        unrolled = sizes.in_channels * prod(sizes.window) * prod(sizes.result) * sizes.item_bytes
        return weight + sizes.busy_threads * ((6 if sizes.is_half else 4) * weight + unrolled)
    source = 0 if sizes.is_image else sizes.source_bytes
    first = sizes.destination_bytes + source + weight + _weight_scratch_bytes(sizes)
    return max(first, 2 * weight)


def _weight_scratch_bytes(sizes: Convolution) -> int:
    """Scratch that the threads share out, and sum up in the end."""
    total = sizes.weight_bytes * ACCUMULATOR_BYTES // sizes.item_bytes
    scratch = sizes.stepped_source_bytes
    if sizes.groups > 1:
        return scratch
    if not sizes.is_half:
        is_summed = not sizes.is_strided and sizes.weight_bytes < sizes.source_bytes + sizes.destination_bytes
        return scratch + total * is_summed
    if not sizes.is_pointwise:  # operands are transposed
        images = sizes.destination_image_bytes(sizes.item_bytes)
        images += 0 if sizes.is_image else sizes.source_image_bytes(sizes.item_bytes)
        scratch += images * (sizes.busy_threads if not sizes.is_strided else 1)
    return scratch + total
