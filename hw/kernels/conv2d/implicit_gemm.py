"""Convolutions as products of matrices that are never stored, and pixel by pixel."""

import numpy as np

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.conv2d.algorithm import Plan, transfer_s
from steelyard.hw.kernels.conv2d.execution_unit import ConvUnit
from steelyard.hw.kernels.conv2d.shape import ConvShape
from steelyard.hw.kernels.conv2d.simt_gemm import product_s
from steelyard.hw.kernels.gemm.shape import Products
from steelyard.hw.kernels.gemm.tensor_core_tiles import on_chip_s

TILES = ((128, 128), (128, 64), (128, 32), (64, 64))
"""Rows by columns of the tiles of cuDNN's f32 kernels, from their names (`scudnn_128x64_relu_small_nn`)."""

INDEX_BYTES = 8
"""Of the address of one tap, which is computed before the launch."""

SPLIT_DEPTH = 512
"""How much of the reduction of a gradient of filters each of the products that share it has at least."""

ADDS_PER_CYCLE = 1.0
"""Atomic adds to memory that an SM gets done in a cycle: what DeepBench's strided gradients of inputs, with
windows of over one tap, take on P100 beyond their products."""

DIRECT_CYCLES_PER_MAC = 5.4
"""Cycles of a lane for a MAC of which both operands are loaded: the median of seconds x peak MAC/s / MACs
over DeepBench's strided gradients of inputs with 1 or 3 channels on P100."""


def implicit_gemm(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """IMPLICIT_PRECOMP_GEMM on vector lanes: the product of `ConvShape.product`, its loads overlapped.

    A gradient of filters is made as [c r s, o], of parts of the reduction that are added up in memory
    (`scudnn_128x64_stridedB_splitK`). A kernel before it computes the addresses of the taps
    (`cudnn::gemm::computeOffsetsKernel`).
    """
    rows, columns, reduction = shape.product
    rows, columns = np.where(shape.wgrad, columns, rows), np.where(shape.wgrad, rows, columns)
    parts = np.where(shape.wgrad, np.maximum(np.floor(reduction / SPLIT_DEPTH), 1), 1)
    product = rows, columns, reduction / parts
    compute_s = product_s(unit, constants, product, shape.groups * parts, TILES)
    compute_s *= np.where(shape.wgrad, constants["adding_slowdown"], 1.0)
    memory_s = transfer_s(unit, constants, shape.elements)
    indices = np.where(shape.wgrad, 0, INDEX_BYTES * shape.product[2])
    return _overlapped("implicit_gemm", compute_s, memory_s, 2, indices)


def atomic_gemm(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """BWD_DATA_ALGO_0: the product [n p q, o] @ [o, c r s] of which each element is added to a pixel.

    The sum "is done using the atomic add operation" (cuDNN's reference, `cudnnConvolutionBwdDataAlgo_t`); the
    pixels are zeroed before. Unlike `implicit_gemm` it sums none of the zeros that a stride leaves.
    """
    places, taps = shape.n * shape.p * shape.q, shape.c / shape.groups * shape.r * shape.s
    product = places, taps, shape.o / shape.groups
    compute_s = product_s(unit, constants, product, shape.groups, TILES) * constants["adding_slowdown"]
    adds_s = shape.groups * places * taps / (ADDS_PER_CYCLE * unit.count * unit.boost_hz)
    memory_s = transfer_s(unit, constants, shape.input_elements)
    busy_s = np.where(shape.dgrad, compute_s + adds_s + memory_s, np.inf)
    return Plan("algo_0", busy_s, memory_s, 2, np.zeros_like(compute_s))


def tensor_gemm(shape: ConvShape, unit: ConvUnit, constants: Coefficients) -> Plan:
    """IMPLICIT_PRECOMP_GEMM on tensor cores, tensors channels last, with the constants of `TensorGemm`.

    It is that model's product on the chip; unlike a product it reads each pixel from memory once.
    """
    rows, columns, reduction = shape.product
    reduction = reduction / shape.zeros_skipped
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
