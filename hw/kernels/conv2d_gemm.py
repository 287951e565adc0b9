"""Convolutions as products of matrices that are never stored, and pixel by pixel."""

import numpy as np

from steelyard.hw.kernels.conv2d_plan import Plan, transfer_s
from steelyard.hw.kernels.conv2d_product import product_s
from steelyard.hw.kernels.conv2d_shape import ConvShape
from steelyard.hw.kernels.conv2d_unit import ConvUnit
from steelyard.hw.kernels.gemm_tensor_shape import Products
from steelyard.hw.kernels.gemm_tensor_tiles import on_chip_s
from steelyard.hw.kernels.model import Coefficients
from steelyard.hw.kernels.query import Floats

TILES = ((128, 128), (128, 64), (128, 32), (64, 64))
"""Rows by columns of the tiles of cuDNN's f32 kernels, from their names (`scudnn_128x64_relu_small_nn`)."""

INDEX_BYTES = 8
"""Of the address of one tap, which is computed before the launch."""

DIRECT_CYCLES_PER_MAC = 5.4
"""Cycles of a lane for a MAC of which both operands are loaded: the median of seconds x peak MAC/s / MACs
over DeepBench's strided gradients of inputs with 1 or 3 channels on P100."""


def implicit_gemm(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """IMPLICIT_PRECOMP_GEMM on vector lanes: the product of `ConvShape.product`, its loads overlapped.

    A gradient of filters shares its reduction out over blocks. A kernel before it computes the addresses of
    the taps (`cudnn::gemm::computeOffsetsKernel`).
    """
    compute_s = product_s(unit, constants, shape.product, shape.groups, TILES, shape.wgrad)
    compute_s *= np.where(shape.wgrad, constants["wgrad_slowdown"], 1.0)
    memory_s = transfer_s(unit, constants, shape.elements)
    indices = np.where(shape.wgrad, 0, INDEX_BYTES * shape.product[2])
    return _overlapped("implicit_gemm", compute_s, memory_s, 2, indices)


def tensor_gemm(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """IMPLICIT_PRECOMP_GEMM on tensor cores, tensors channels last, with the constants of `TensorGemm`.

    It is that model's product on the chip; unlike a product it reads each pixel from memory once.
    """
    rows, columns, reduction = shape.product
    size = unit.element_bytes
    product = Products(shape.groups, rows, columns, reduction, size, max(size, 2), weight=True)
    multiply_s = 2 * shape.macs / (unit.peak_flops_per_s * constants["multiply_fraction"])
    compute_s = on_chip_s(product, unit.cores, constants) + unit.throttled_s(multiply_s)
    memory_s = transfer_s(unit, constants, shape.elements)
    indices = np.where(shape.wgrad, 0, INDEX_BYTES * reduction)
    return _overlapped("implicit_gemm", compute_s, memory_s, 1, indices)


def direct(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """A pixel a lane: for groups, and gradients through a stride, that are too thin for tiles."""
    memory_s = transfer_s(unit, constants, shape.elements)
    fits = (shape.groups > 1) | (shape.dgrad & (shape.stride > 1))
    compute_s = np.where(fits, shape.macs * DIRECT_CYCLES_PER_MAC / unit.vector_macs_per_s, np.inf)
    return _overlapped("direct", compute_s, memory_s, 1, np.zeros_like(compute_s))


def _overlapped(
    name: str, compute_s: Floats, memory_s: Floats, launches: int, workspace_bytes: Floats
) -> Plan:
    waits_s = np.where(memory_s > compute_s, memory_s, 0.0)
    return Plan(name, np.maximum(compute_s, memory_s), waits_s, launches, workspace_bytes)
