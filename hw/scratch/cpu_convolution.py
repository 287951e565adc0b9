"""Peak memory inside a convolution on a CPU, by the library that does it and its instruction set."""

from types import ModuleType

from steelyard.hw.scratch import onednn_avx2, onednn_avx512, unrolled_convolution
from steelyard.hw.scratch.convolution import Convolution


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that a forward convolution has allocated at once, its result included."""
    if not sizes.uses_onednn:
        return unrolled_convolution.forward_peak_bytes(sizes)
    kernels = _onednn(sizes)
    if not sizes.transposed:
        return kernels.forward_peak_bytes(sizes)
    # Kernels of gradients know no bias, which is added in a buffer; those with a stride are special ones.
    biased = sizes.source_bytes if sizes.has_bias and (not sizes.is_strided or sizes.is_depthwise) else 0
    peak = kernels.data_peak_bytes(sizes)
    return (
        max(peak, biased + sizes.source_bytes + sizes.destination_bytes + sizes.weight_bytes)
        if biased
        else peak
    )


def backward_peak_bytes(sizes: Convolution, data: bool, weights: bool) -> int:
    """Return the most that a backward convolution has allocated at once, its results included.

    Args:
        sizes: Of the forward convolution.
        data: Whether the gradient of the source is asked for; oneDNN computes it first, and it is kept.
        weights: Whether the gradient of the weight is asked for.
    """
    if not sizes.uses_onednn:
        return unrolled_convolution.backward_peak_bytes(sizes, data, weights)
    kernels = _onednn(sizes)
    kept, data_peak_bytes = sizes.plain_source_bytes, kernels.data_peak_bytes
    if sizes.transposed:
        kept, data_peak_bytes = sizes.plain_destination_bytes, kernels.forward_peak_bytes
    data_peak = data_peak_bytes(sizes) if data else 0
    return max(data_peak, kept * data + kernels.weight_peak_bytes(sizes) if weights else 0)


def _onednn(sizes: Convolution) -> ModuleType:
    return onednn_avx2 if sizes.instruction_set == "avx2" else onednn_avx512
