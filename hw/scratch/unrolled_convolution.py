"""Memory that PyTorch's own convolutions take while they run: products of unrolled windows (im2col).

By aten/src/ATen/native/ConvolutionMM2d.cpp (torch 2.13): the windows of a whole batch are unrolled, unless
they are single points. Groups are convolved one after the other, and joined in the end. With channels last
the weight is copied.
"""

from steelyard.hw.scratch.convolution import Convolution


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that is allocated at once, the result included."""
    result = sizes.plain_destination_bytes
    last = sizes.plain_source_bytes // sizes.groups if sizes.groups > 1 else 0
    peak = result + last + _columns_bytes(sizes)
    return _weight_copy_bytes(sizes) + (max(peak, 2 * result) if sizes.groups > 1 else peak)


def data_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the source has allocated at once, itself included."""
    return _weight_copy_bytes(sizes) + (2 if sizes.groups > 1 else 1) * sizes.plain_source_bytes


def weight_peak_bytes(sizes: Convolution) -> int:
    """Return the most that the gradient of the weight has allocated at once, itself included."""
    slices = (sizes.plain_source_bytes + sizes.plain_destination_bytes) // sizes.groups
    own = sizes.plain_weight_bytes + _weight_copy_bytes(sizes) + _columns_bytes(sizes)
    return own + (slices if sizes.groups > 1 else 0)


def _columns_bytes(sizes: Convolution) -> int:
    """The unrolled windows of a batch of one group."""
    return 0 if sizes.is_pointwise and sizes.stride == 1 else sizes.batch * sizes.unrolled_bytes


def _weight_copy_bytes(sizes: Convolution) -> int:
    is_copied = sizes.channels_last and not sizes.is_pointwise and not sizes.is_depthwise
    return sizes.plain_weight_bytes if is_copied else 0
