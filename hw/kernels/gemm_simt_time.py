"""How long the tiles of a matrix product keep the SMs and the memory of a device busy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.arithmetic import FALLBACK
from steelyard.hw.device import Device
from steelyard.hw.errors import DeviceError
from steelyard.hw.kernels.element_bytes import element_bytes
from steelyard.hw.kernels.gemm_simt_layout import Layout
from steelyard.hw.kernels.gemm_simt_tiles import Tile
from steelyard.hw.kernels.memory_system import unit_cycles_per_s
from steelyard.hw.kernels.model import Coefficients
from steelyard.hw.kernels.products import Products
from steelyard.hw.kernels.query import Floats
from steelyard.hw.power import sustained_fraction
from steelyard.hw.sm import fma_fraction
from steelyard.hw.work import DType

STEP = 8
"""Depth that the main loop of cuBLAS's SIMT kernels takes at once."""

THROTTLE_S = 1e-3
"""Kernels far longer than this run at the clock of the power limit, far shorter ones at the boost clock,
since the limit holds for an average; as for tensor cores."""

RESIDENT_TILES = 2
"""Tiles of the SMs' present and next wave, which the last cache serves together."""

OVERLAP_EXPONENT = 4
"""How well memory and SMs overlap; 3 to 8 fit all devices alike."""

FED_LANES = 64
"""Lanes of an SM that its shared memory and its issue slots feed without a wait: those of P100, V100, T4 and
A100. SMs of 128 have as much of both (CUDA programming guide: 128 bytes and four instructions a cycle)."""


@dataclass(frozen=True, slots=True)
class SimtDevice:
    """The vector lanes of a device in one type, and its memory.

    Attributes:
        count: SMs.
        crowding: Lanes of an SM over those that it feeds without a wait, at least 1.
        peak_flops_per_s: Peak of the data sheet.
        fma_fraction: Part of it that the main loop of a product can reach.
        cycle_s: Cycle of the boost clock.
        sustained_fraction: Part of the boost clock that the power limit leaves.
        bytes_per_s: Peak (pin) bandwidth of memory.
        cache_bytes: Size of the last cache.
        element_bytes: Size of an operand.
    """

    count: float
    crowding: float
    peak_flops_per_s: float
    fma_fraction: float
    cycle_s: float
    sustained_fraction: float
    bytes_per_s: float
    cache_bytes: float
    element_bytes: int

    @staticmethod
    def of(device: Device, dtype: DType, power_fraction: float) -> "SimtDevice":
        """Return the lanes that multiply a type.

        Raises:
            DeviceError: The device has none, or its bandwidth is not known.
        """
        bandwidth = device.memory_bandwidth_bytes_per_s
        for each in FALLBACK[dtype]:
            peak = device.matrix_peak_flops_per_s.get(each) or device.vector_peak_flops_per_s.get(each)
            if peak is None or bandwidth is None or each == "tf32":
                continue
            return SimtDevice(
                count=device.compute_units.value,
                crowding=max(1.0, (device.lanes_per_unit.value if device.lanes_per_unit else 0) / FED_LANES),
                peak_flops_per_s=peak.value,
                fma_fraction=fma_fraction(device),
                cycle_s=device.compute_units.value / unit_cycles_per_s(device),
                sustained_fraction=sustained_fraction(device, each, "vector", power_fraction),
                bytes_per_s=bandwidth.value,
                cache_bytes=device.l2_bytes.value if device.l2_bytes else 0.0,
                element_bytes=element_bytes(dtype),
            )
        raise DeviceError(
            what=f"a matrix product in {dtype} on {device.name!r} cannot be priced",
            why="that needs a peak for the type and memory_bandwidth_bytes_per_s",
            fix="choose another type or device, or add both from the data sheet",
        )


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
    memory_s = _memory_s(shape, lanes, tile, columns, rows, parts, c)
    longer_s = np.maximum(compute_s, memory_s)
    shorter = np.minimum(compute_s, memory_s) / longer_s
    time_s = longer_s * (1 + shorter**OVERLAP_EXPONENT) ** (1 / OVERLAP_EXPONENT)
    if parts > 1:  # the partial sums are written and read once more, mostly in the cache
        partial_bytes = parts * shape.written_elements * lanes.element_bytes
        time_s = time_s + c["split_s"] + partial_bytes / (lanes.bytes_per_s * c["memory_fraction"])
    return time_s, memory_s > compute_s


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


def _memory_s(
    shape: Products,
    lanes: SimtDevice,
    tile: Tile,
    columns: Floats,
    rows: Floats,
    parts: int,
    c: Coefficients,
) -> Floats:
    """Return the time of the traffic past the last cache.

    Resident tiles lie next to each other along n and share what they read; what later ones read again comes
    from the cache as far as that holds the operands.
    """
    resident = max(lanes.count * RESIDENT_TILES / parts, 1.0)
    across = np.minimum(resident, columns)
    down = np.minimum(np.ceil(resident / columns), rows)
    reads = shape.batch * columns * rows * (tile[0] / down + tile[1] / across) * shape.k
    again = np.maximum(reads - shape.read_elements, 0)
    operands = (shape.m + shape.n) * shape.k * lanes.element_bytes
    excess = operands / max(lanes.cache_bytes * c["cache_fraction"], 1.0)
    read = shape.read_elements + again * excess / (1 + excess)
    moved = read / c["operand_fraction"] + shape.written_elements / c["memory_fraction"]
    return moved * lanes.element_bytes / lanes.bytes_per_s
