"""Peak memory inside a convolution on a CPU, by the library that does it and its instruction set."""

from typing import Protocol

from steelyard.hw.scratch import onednn_avx2, onednn_avx512, unrolled_convolution
from steelyard.hw.scratch.convolution import Convolution


class _Kernels(Protocol):
    def forward_peak_bytes(self, sizes: Convolution) -> int: ...
    def data_peak_bytes(self, sizes: Convolution) -> int: ...
    def weight_peak_bytes(self, sizes: Convolution) -> int: ...


def forward_peak_bytes(sizes: Convolution) -> int:
    """Return the most that a forward convolution has allocated at once, its result included."""
    return _kernels(sizes).forward_peak_bytes(sizes)


def backward_peak_bytes(sizes: Convolution, data: bool, weights: bool) -> int:
    """Return the most that a backward convolution has allocated at once, its results included.

    Args:
        sizes: Of the forward convolution.
        data: Whether the gradient of the source is asked for; it is computed first, and kept.
        weights: Whether the gradient of the weight is asked for.
    """
    kernels = _kernels(sizes)
    kept = sizes.plain_source_bytes if data else 0
    data_peak = kernels.data_peak_bytes(sizes) if data else 0
    return max(data_peak, kept + kernels.weight_peak_bytes(sizes) if weights else 0)


def _kernels(sizes: Convolution) -> _Kernels:
    if not sizes.uses_onednn:
        return unrolled_convolution
    return onednn_avx2 if sizes.instruction_set == "avx2" else onednn_avx512
