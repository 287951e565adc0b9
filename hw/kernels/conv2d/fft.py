"""Convolutions by the Fourier transforms of small tiles (arXiv 1412.7580)."""

import numpy as np

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.conv2d.algorithm import Plan, transfer_s
from steelyard.hw.kernels.conv2d.execution_unit import ConvUnit
from steelyard.hw.kernels.conv2d.shape import ConvShape
from steelyard.hw.kernels.conv2d.simt_gemm import plane_product, product_s

EDGE = 32
"""Edge of a tile; a transform of reals has EDGE * (EDGE / 2 + 1) independent frequencies."""

PLANE_TILES = ((64, 64),)
"""Tiles of the complex products (`gcgemm_64x64_nt`)."""


def tiled_fft(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """FFT_TILING: one complex product, 4 real ones, a frequency, over images and channels.

    Transforms of the input and the filters, products and the transform back are kernels of their own. There
    is one for gradients of filters as well, but none in DeepBench takes as little as that would.
    """
    summed, made = shape.channels
    height, width = shape.map_size
    inner = EDGE + 1
    fits = (shape.stride == 1) & (shape.groups == 1) & (np.maximum(shape.r, shape.s) < EDGE)
    fits &= (shape.r * shape.s > 1) & ~shape.wgrad
    down = np.ceil(height / np.maximum(inner - shape.r, 1))
    places = shape.n * down * np.ceil(width / np.maximum(inner - shape.s, 1))
    frequencies = np.full_like(places, EDGE * (EDGE // 2 + 1))
    product = plane_product(shape, places)
    compute_s = product_s(unit, constants, product, 4 * frequencies, PLANE_TILES)
    spectra = 2 * frequencies * (places * (summed + made) + summed * made)
    memory_s = transfer_s(unit, constants, shape.elements + spectra)
    busy_s = np.where(fits, compute_s + memory_s, np.inf)
    return Plan("fft_tiling", busy_s, memory_s, 4, unit.element_bytes * spectra)
