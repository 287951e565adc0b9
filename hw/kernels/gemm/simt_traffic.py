"""Memory traffic of a matrix product on vector lanes (SIMT), and its time."""

import numpy as np

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.gemm.shape import Products
from steelyard.hw.kernels.gemm.simt_device import SimtDevice
from steelyard.hw.kernels.gemm.simt_operand_layout import Layout
from steelyard.hw.kernels.gemm.simt_tiles import Tile

RESIDENT_TILES = 2
"""Tiles of the SMs' present and next wave, which the last cache serves together."""


def memory_s(
    shape: Products, lanes: SimtDevice, tile: Tile, parts: int, extra: Layout, c: Coefficients
) -> Floats:
    """Return the time of the traffic past the last cache.

    Resident tiles lie next to each other along n and share what they read; what later ones read again comes
    from the cache as far as that holds the operands. The arguments are those of `gemm_simt_time.busy_s`.
    """
    columns, rows = np.ceil(shape.n / tile[0]), np.ceil(shape.m / tile[1])
    resident = max(lanes.count * RESIDENT_TILES / parts, 1.0)
    across = np.minimum(resident, columns)
    down = np.minimum(np.ceil(resident / columns), rows)
    operands_bytes = (shape.m + shape.n) * shape.k * lanes.element_bytes
    excess = operands_bytes / max(lanes.cache_bytes * c["cache_fraction"], 1.0)
    missed = excess / (1 + excess)
    tiles = shape.batch * columns * rows * shape.k
    first = _moved(shape.batch * shape.m * shape.k, tiles * tile[1] / across, missed)
    second = _moved(shape.batch * shape.n * shape.k, tiles * tile[0] / down, missed)
    pins = first * extra.first + second * extra.second + shape.written_elements / c["memory_fraction"]
    return pins * lanes.element_bytes / lanes.bytes_per_s


def _moved(elements: Floats, reads: Floats, missed: Floats) -> Floats:
    """Return what comes from memory of an operand that SMs read more than once."""
    return elements + np.maximum(reads - elements, 0) * missed
