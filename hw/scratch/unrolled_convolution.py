"""Memory that PyTorch's own convolutions take while they run: products of unrolled windows (im2col).

By ConvolutionMM2d.cpp, ConvolutionMM3d.cpp, NaiveDilatedConvolution.cpp and NaiveConvolutionTranspose2d.cpp
and -3d.cpp in aten/src/ATen/native (torch 2.13). Windows are unrolled for a whole batch, or for one image
where they have holes. Groups are convolved one after the other, and joined in the end; those of a volume at
once. With channels last the weight is copied. The gradient of a bias is a sum in f32, for which one of half
precision is copied.
"""

from math import prod

from steelyard.hw.scratch.convolution import ACCUMULATOR_BYTES, Convolution


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that is allocated at once, the result included."""
    source, result = sizes.plain_source_bytes, sizes.plain_destination_bytes
    if sizes.transposed:
        source, result = result, source
    peak = result + _forward_columns_bytes(sizes)
    if sizes.transposed and sizes.is_volume:  # the result is made as large as the operand at first
        peak += max(source - result, 0) + sizes.has_bias * prod(sizes.image) * sizes.item_bytes
    if _is_by_group(sizes):
        peak = max(peak + source // sizes.groups, 2 * result)
    return _weight_copy_bytes(sizes) + peak


def backward_peak_bytes(sizes: Convolution, data: bool, weights: bool) -> int:
    """Return the most that the gradients have allocated at once, themselves included.

    Args:
        sizes: Of the forward convolution.
        data: Whether the gradient of the source is asked for.
        weights: Whether the gradient of the weight is asked for.
    """
    operands = sizes.plain_source_bytes, sizes.plain_destination_bytes
    results = operands[sizes.transposed] * data + sizes.plain_weight_bytes * weights
    columns = max(_data_columns_bytes(sizes) * data, _weight_columns_bytes(sizes) * weights)
    loops = sizes.groups if _is_by_group(sizes) else 1
    summed = _bias_copy_bytes(sizes)
    if sizes.transposed and sizes.is_volume:
        peak = results + columns + summed // loops
    else:  # before the gradient of the weight is made
        peak = results + max(columns, (summed - sizes.plain_weight_bytes * weights) // loops)
    if loops > 1:
        peak = max(peak + sum(operands) // loops, 2 * results)
    return _weight_copy_bytes(sizes) + peak


def _bias_copy_bytes(sizes: Convolution) -> int:
    """The gradient of the result in f32, where the bias is a sum over more than the points of an image."""
    if not (sizes.has_bias and sizes.is_half) or sizes.batch == 1 or sizes.is_dilated:
        return 0
    result = sizes.plain_source_bytes if sizes.transposed else sizes.plain_destination_bytes
    return result * ACCUMULATOR_BYTES // sizes.item_bytes


def _is_by_group(sizes: Convolution) -> bool:
    is_at_once = sizes.is_volume and not sizes.transposed and not sizes.is_dilated
    return sizes.groups > 1 and not is_at_once


def _forward_columns_bytes(sizes: Convolution) -> int:
    if sizes.transposed:
        return sizes.unrolled_bytes * (1 if sizes.is_volume else sizes.batch)
    return _weight_columns_bytes(sizes)


def _data_columns_bytes(sizes: Convolution) -> int:
    if sizes.transposed or sizes.is_dilated:
        return _weight_columns_bytes(sizes)
    return sizes.batch * sizes.groups * sizes.unrolled_bytes if sizes.is_volume else 0


def _weight_columns_bytes(sizes: Convolution) -> int:
    if sizes.is_dilated:
        return sizes.unrolled_bytes
    if sizes.is_pointwise and not sizes.is_strided and not any(sizes.padding):
        return 0
    if sizes.transposed:
        return sizes.unrolled_bytes
    return sizes.batch * sizes.unrolled_bytes * (sizes.groups if sizes.is_volume else 1)


def _weight_copy_bytes(sizes: Convolution) -> int:
    is_copied = sizes.channels_last and not sizes.is_pointwise and not sizes.is_depthwise
    return sizes.plain_weight_bytes if is_copied else 0
