"""How long the tiles of a matrix product keep the SMs and the memory of a device busy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.arithmetic import FALLBACK
from steelyard.hw.device import Device
from steelyard.hw.errors import DeviceError
from steelyard.hw.kernels.element_bytes import element_bytes
from steelyard.hw.kernels.gemm_simt_tiles import Tile
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

LONG_ROW_BYTES = 80e3
"""Rows this far apart in memory have half of their full cost. On P100 products with sums of 8,000 f32 are 8 %
slower than with short ones, of 24,000 2.2 times and of 48,000 2.6 times, whatever m and n (NeuSight 6945927):
each row of a tile then lies on a page of its own, of which the TLB holds few."""

OVERLAP_EXPONENT = 4
"""How well memory and SMs overlap; 3 to 8 fit all devices alike."""


@dataclass(frozen=True, slots=True)
class SimtDevice:
    """The vector lanes of a device in one type, and its memory.

    Attributes:
        count: SMs.
        peak_flops_per_s: Peak of the data sheet.
        fma_fraction: Part of it that the main loop of a product can reach.
        sustained_fraction: Part of the boost clock that the power limit leaves.
        bytes_per_s: Peak (pin) bandwidth of memory.
        cache_bytes: Size of the last cache.
        element_bytes: Size of an operand.
    """

    count: float
    peak_flops_per_s: float
    fma_fraction: float
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
                peak_flops_per_s=peak.value,
                fma_fraction=fma_fraction(device),
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
    shape: Products, lanes: SimtDevice, tile: Tile, parts: int, c: Coefficients
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how long products take in one tile, their sums cut in parts, and whether memory decides that.

    Args:
        shape: The products.
        lanes: What they run on.
        tile: The tile of a thread block.
        parts: Into how many blocks the sum of each tile is cut.
        c: The coefficients of `SimtGemm`.
    """
    columns, rows = np.ceil(shape.n / tile[0]), np.ceil(shape.m / tile[1])
    compute_s = _compute_s(shape, lanes, tile, shape.batch * columns * rows * parts, parts, c)
    memory_s = _memory_s(shape, lanes, tile, columns, rows, parts, c)
    longer_s = np.maximum(compute_s, memory_s)
    shorter = np.minimum(compute_s, memory_s) / longer_s
    time_s = longer_s * (1 + shorter**OVERLAP_EXPONENT) ** (1 / OVERLAP_EXPONENT)
    if parts > 1:  # the partial sums are written and read once more, mostly in the cache
        partial_bytes = parts * shape.written_elements * lanes.element_bytes
        time_s = time_s + c["split_s"] + partial_bytes / (lanes.bytes_per_s * c["memory_fraction"])
    return time_s, memory_s > compute_s


def _compute_s(
    shape: Products, lanes: SimtDevice, tile: Tile, blocks: Floats, parts: int, c: Coefficients
) -> Floats:
    """Return the time of the SM with the most blocks, which it takes one by one at the rate of its lanes."""
    cycles = c["cycles_per_step"] + c["operand_load_cycles"] * (1 / tile[0] + 1 / tile[1])
    if "long_row_cycles" in c:
        stretch = (shape.k * lanes.element_bytes / LONG_ROW_BYTES) ** 2
        cycles = cycles + c["long_row_cycles"] * stretch / (1 + stretch)
    steps = np.ceil(np.ceil(shape.k / parts) / STEP) * STEP + c["prologue_steps"]
    waves = np.maximum(np.ceil(blocks / lanes.count), 1 + c["lone_tiles"])
    macs_per_s = lanes.peak_flops_per_s * lanes.fma_fraction / 2 / lanes.count
    boost_s = waves * (tile[0] * tile[1] / macs_per_s) * steps * cycles
    throttled = boost_s / (boost_s + THROTTLE_S)
    return boost_s * (1 + (1 / lanes.sustained_fraction - 1) * throttled)


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
    if "far_exponent" in c:
        read = read * np.maximum(operands / max(lanes.cache_bytes, 1.0), 1) ** c["far_exponent"]
    moved = read / c["operand_fraction"] + shape.written_elements / c["memory_fraction"]
    return moved * lanes.element_bytes / lanes.bytes_per_s
