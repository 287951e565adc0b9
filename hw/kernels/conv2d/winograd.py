"""Convolutions by the minimal filtering of Winograd, after Lavin and Gray (arXiv 1509.09308)."""

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.conv2d.algorithm import Plan, transfer_s
from steelyard.hw.kernels.conv2d.execution_unit import ConvUnit
from steelyard.hw.kernels.conv2d.shape import ConvShape
from steelyard.hw.kernels.conv2d.simt_gemm import plane_product, product_s

PLANE_TILES = ((128, 64), (64, 64), (32, 128), (128, 32))
"""Tiles of the products inside the unfused algorithm (`sgemm_32x128_nn`)."""


def fused_winograd(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """WINOGRAD: F(2x2, 3x3), 16 multiplications for 36.

    A block of `scudnn_winograd_128x128` computes 32 channels of 32 of these output tiles: 4 by 8 in one
    image (`tile148`), so 8 by 16 pixels, or, where images are paired and even, 4 by 4 in two of them. That
    is 16 products of 32 x 32. A kernel before it transforms the filters.
    """
    summed, made = shape.channels
    height, width = shape.map_size
    areas = shape.n * np.ceil(height / 8) * np.ceil(width / 16)
    if unit.pairs_images:
        pairs = shape.n / 2 * np.ceil(height / 8) * np.ceil(width / 8)
        areas = np.where(shape.n % 2 == 0, np.minimum(areas, pairs), areas)
    waves = np.ceil(areas * np.ceil(made / 32) / unit.count)
    channel_cycles = 16 * 32 * 32 / unit.macs_per_cycle * constants["winograd_cycles_per_step"]
    channels = summed + constants["winograd_prologue_channels"]
    compute_s = unit.busy_s(waves * channels * channel_cycles)
    filters_s = transfer_s(unit, constants, (9 + 16) * summed * made)
    fits = _fits(shape, 3) & ~shape.wgrad & unit.fuses_winograd
    busy_s = np.where(fits, compute_s + filters_s, np.inf)
    return Plan("winograd", busy_s, filters_s, 2, 16 * unit.element_bytes * summed * made)


def unfused_winograd(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """WINOGRAD_NONFUSED: F(4x4, 3x3), 36 multiplications for 144, and F(4x4, 5x5), through memory.

    Kernels transform the filters and the input to (4 + r - 1)^2 planes, one product a plane follows, and a
    kernel transforms back. A forward takes images 16 at a time. Filters of which the channels are no multiple
    of 4 load one by one.
    """
    summed, made = shape.channels
    height, width = shape.map_size
    planes = (3 + shape.r) ** 2
    images = np.where(shape.wgrad, shape.n, np.ceil(shape.n / 16) * 16)
    places = images * np.ceil(height / 4) * np.ceil(width / 4)
    product = plane_product(shape, places)
    compute_s = product_s(unit, constants, product, planes, PLANE_TILES)
    transformed = planes * places * (summed + made)
    unaligned = np.where(summed % 4 == 0, 1.0, constants["unaligned_filter_slowdown"])
    filters = (shape.r**2 + planes) * summed * made * constants["filter_transform_slowdown"] * unaligned
    images_moved = shape.input_elements + shape.output_elements + transformed
    memory_s = transfer_s(unit, constants, images_moved + filters)
    busy_s = np.where(_fits(shape, 3) | _fits(shape, 5), compute_s + memory_s, np.inf)
    workspace = unit.element_bytes * (transformed + planes * summed * made)
    return Plan("winograd_nonfused", busy_s, memory_s, 4, workspace)


def _fits(shape: ConvShape, window: int) -> NDArray[np.bool_]:
    return (shape.r == window) & (shape.s == window) & (shape.stride == 1) & (shape.groups == 1)
