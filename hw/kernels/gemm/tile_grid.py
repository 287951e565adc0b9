"""Launch grid of matrix products: tiles of 128 by 128 with 256 threads.

Each thread holds 8 x 8 sums, and two stages of 8 steps of both operands are in shared memory (as in CUTLASS's
SIMT kernels, and cuBLAS's by their names: `sgemm_128x128`).
"""

from collections.abc import Mapping
from math import ceil

from steelyard.hw.kernels.common.launch_grid import TILE, Grid, product_grid


def gemm_grid(dims: Mapping[str, int | str]) -> Grid:
    """Return the grid of a product with one weight."""
    b, m, n = (int(dims[dim]) for dim in "bmn")
    return product_grid(ceil(b * m / TILE) * ceil(n / TILE))


def bmm_grid(dims: Mapping[str, int | str]) -> Grid:
    """Return the grid of products with operands of their own."""
    b, m, n = (int(dims[dim]) for dim in "bmn")
    return product_grid(b * ceil(m / TILE) * ceil(n / TILE))
