"""Time of a matrix product's tiles on the SMs and in memory."""

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.gemm.shape import Products
from steelyard.hw.kernels.gemm.simt_device import SimtDevice
from steelyard.hw.kernels.gemm.simt_operand_layout import Layout
from steelyard.hw.kernels.gemm.simt_tiles import Tile
from steelyard.hw.kernels.gemm.simt_traffic import memory_s

STEP = 8
"""Depth that the main loop of cuBLAS's SIMT kernels takes at once."""

THROTTLE_S = 1e-3
"""Kernels far longer than this run at the clock of the power limit, far shorter ones at the boost clock,
since the limit holds for an average; as for tensor cores."""

OVERLAP_EXPONENT = 4
"""How well memory and SMs overlap; 3 to 8 fit all devices alike."""


def busy_s(
    shape: Products, lanes: SimtDevice, tile: Tile, parts: int, extra: Layout, c: Coefficients
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how long products take in one tile, their sums cut in parts, and whether memory decides that.

    Args:
        shape: The products.
        lanes: What they run on.
        tile: The tile of a thread block.
        parts: Into how many blocks the sum of each tile is cut.
        extra: What the place of their operands costs.
        c: The coefficients of `SimtGemm`.
    """
    columns, rows = np.ceil(shape.n / tile[0]), np.ceil(shape.m / tile[1])
    macs_per_s = lanes.peak_flops_per_s * lanes.fma_fraction / 2 / lanes.count
    step_s = STEP * tile[0] * tile[1] / macs_per_s * _cycles(lanes, tile, extra, c)
    compute_s = _compute_s(shape, lanes, step_s, shape.batch * columns * rows * parts, parts, c)
    traffic_s = memory_s(shape, lanes, tile, parts, extra, c)
    longer_s = np.maximum(compute_s, traffic_s)
    shorter = np.minimum(compute_s, traffic_s) / longer_s
    time_s = longer_s * (1 + shorter**OVERLAP_EXPONENT) ** (1 / OVERLAP_EXPONENT)
    if parts > 1:  # the partial sums are written and read once more, mostly in the cache
        partial_bytes = parts * shape.written_elements * lanes.element_bytes
        time_s = time_s + c["split_s"] + partial_bytes / (lanes.bytes_per_s * c["memory_fraction"])
    return time_s, traffic_s > compute_s


def _compute_s(
    shape: Products, lanes: SimtDevice, step_s: Floats, blocks: Floats, parts: int, c: Coefficients
) -> Floats:
    """Return the time of the SM with the most blocks, which it takes one by one at the rate of its lanes.

    A block that is alone on its SM waits in each step of its sums for operands that no other block hides.

    Args:
        shape: The products.
        lanes: What they run on.
        step_s: A step of the sums of one tile, at the boost clock.
        blocks: How many there are.
        parts: Into how many of them the sum of each tile is cut.
        c: The coefficients of `SimtGemm`.
    """
    steps = np.ceil(np.ceil(shape.k / parts) / STEP) + c["prologue_steps"] / STEP
    blocks_in_turn, wait_s = np.ceil(blocks / lanes.count), c["wait_cycles"] * lanes.cycle_s
    boost_s = np.maximum(blocks_in_turn * step_s, step_s + wait_s) * steps
    throttled = boost_s / (boost_s + THROTTLE_S)
    step_s = step_s * (1 + (1 / lanes.sustained_fraction - 1) * throttled)
    return np.maximum(blocks_in_turn * step_s, step_s + wait_s) * steps


def _cycles(lanes: SimtDevice, tile: Tile, extra: Layout, c: Coefficients) -> Floats:
    """Return the cycles for the multiply-adds that the lanes of an SM can do in one, which is the least.

    Small tiles load more for each, and where lanes are crowded a load takes more of their cycles.
    """
    loads = 1 / tile[0] + 1 / tile[1]
    cycles = c["cycles_per_step"] + c["operand_load_cycles"] * lanes.crowding * loads
    return max(1.0, cycles) + extra.step + extra.load * loads
