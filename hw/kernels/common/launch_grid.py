"""Launch grid of a kernel: its thread blocks, and how many a GPU runs at once."""

from dataclasses import dataclass
from math import ceil

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_work import KernelWork
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.nvidia_sm import sm_limits

TILE = 128
"""Rows and columns of a tile of cuBLAS's largest kernels for products (`sgemm_128x128`)."""

ELEMENTS_PER_THREAD = 4
WARP = 32


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of a kernel.

    Attributes:
        blocks: Thread blocks.
        threads: Threads of a block.
        registers: 32-bit registers of a thread.
        shared_bytes: Shared memory of a block.
    """

    blocks: int
    threads: int
    registers: int
    shared_bytes: int


def work_grid(work: KernelWork) -> Grid:
    """Return the grid of a kernel that is known by its work alone: tiles of its result, or its elements.

    ATen's elementwise kernels have 128 threads of four elements (aten/src/ATen/native/cuda/CUDALoops.cuh).
    """
    elements = work.bytes_written // element_bytes(work.dtype)
    if work.contraction_flops:
        return product_grid(ceil(elements / TILE**2))
    return Grid(max(1, ceil(elements / (128 * ELEMENTS_PER_THREAD))), 128, 32, 0)


def blocks_per_wave(device: Device, grid: Grid) -> int:
    """Return how many blocks of a grid a GPU runs at once; at least one an SM."""
    resident = sm_limits(device).resident_blocks(grid.threads, grid.registers, grid.shared_bytes)
    return round(device.compute_units.value) * max(1, resident)


def product_grid(tiles: int) -> Grid:
    """Return the grid of so many tiles of products, with 256 threads a block."""
    return Grid(max(1, tiles), threads=256, registers=128, shared_bytes=2 * 2 * 8 * TILE * 4)
