"""How long vector lanes take for the products of matrices inside a convolution."""

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.kernels.conv2d_shape import ConvShape, Product
from steelyard.hw.kernels.conv2d_unit import ConvUnit
from steelyard.hw.kernels.model import Coefficients
from steelyard.hw.kernels.query import Floats

STEP = 8
"""Depth that the main loop of cuDNN's and cuBLAS's SIMT kernels takes at once (`sgemm_128x64x8`)."""

SPLIT_DEPTH = 512
"""How much of a reduction is left at least to one of the blocks that share it."""


def product_s(
    unit: ConvUnit,
    constants: Coefficients,
    product: Product,
    batch: Floats,
    tiles: tuple[tuple[int, int], ...],
    shared: NDArray[np.bool_],
) -> Floats:
    """Return the seconds for `batch` products with the best tile of a menu.

    An SM takes its tiles one by one, each over the whole reduction, and the SM with the most of them is the
    last to finish (arXiv 2211.10017 and NVIDIA's "Matrix Multiplication Background", wave quantization). A
    tile that is alone on its SM waits for its own loads. Where `shared`, blocks share a reduction as long as
    there are SMs without one.
    """
    rows, columns, reduction = product
    best = np.full_like(rows, np.inf)
    for height, width in tiles:
        blocks = batch * np.ceil(rows / height) * np.ceil(columns / width)
        idle = np.maximum(np.floor(2 * unit.count / blocks), 1)
        parts = np.where(shared, np.clip(np.floor(reduction / SPLIT_DEPTH), 1, idle), 1)
        waves = np.maximum(np.ceil(blocks * parts / unit.count), 1 + constants["lone_tile_waves"])
        steps = np.ceil(reduction / parts / STEP) * STEP + constants["tile_prologue_steps"]
        loads = constants["operand_load_cycles"] * (1 / height + 1 / width)
        cycles = height * width / unit.macs_per_cycle * (constants["cycles_per_step"] + loads)
        best = np.minimum(best, waves * steps * cycles)
    return unit.busy_s(best)


def plane_product(shape: ConvShape, places: Floats) -> Product:
    """Return the product of one plane of a transformed convolution of so many tiles, in its direction."""
    summed, made = shape.channels
    rows, columns = np.where(shape.wgrad, shape.o, places), np.where(shape.wgrad, shape.c, made)
    return rows, columns, np.where(shape.wgrad, places, summed)
