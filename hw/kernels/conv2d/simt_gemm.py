"""Time of a convolution's matrix products on vector lanes (SIMT)."""

import numpy as np

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.conv2d.execution_unit import ConvUnit
from steelyard.hw.kernels.conv2d.shape import ConvShape, Product

STEP = 8
"""Depth that the main loop of cuDNN's and cuBLAS's SIMT kernels takes at once (`sgemm_128x64x8`)."""


def product_s(
    unit: ConvUnit,
    constants: Coefficients,
    product: Product,
    batch: Floats,
    tiles: tuple[tuple[int, int], ...],
) -> Floats:
    """Return the seconds for `batch` products with the best tile of a menu.

    An SM takes its tiles one by one, each over the whole reduction, and the SM with the most of them is the
    last to finish (arXiv 2211.10017 and NVIDIA's "Matrix Multiplication Background", wave quantization). The
    fewer outputs an SM works on, the longer it waits for its loads: by Little's law, as if some more were to
    be made (V. Volkov, "Better performance at lower occupancy", GTC 2010).
    """
    rows, columns, reduction = product
    best = np.full_like(rows, np.inf)
    for height, width in tiles:
        blocks = batch * np.ceil(rows / height) * np.ceil(columns / width)
        outputs = np.ceil(blocks / unit.count) * height * width + constants["latency_outputs"]
        steps = np.ceil(reduction / STEP) * STEP + constants["tile_prologue_steps"]
        loads = constants["operand_load_cycles"] * (1 / height + 1 / width)
        cycles = (constants["cycles_per_step"] + loads) / unit.macs_per_cycle
        best = np.minimum(best, outputs * steps * cycles)
    return unit.busy_s(best)


def plane_product(shape: ConvShape, places: Floats) -> Product:
    """Return the product of one plane of a transformed convolution of so many tiles, in its direction."""
    summed, made = shape.channels
    rows, columns = np.where(shape.wgrad, shape.o, places), np.where(shape.wgrad, shape.c, made)
    return rows, columns, np.where(shape.wgrad, places, summed)
