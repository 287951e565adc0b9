"""Launch grid of a kernel: its thread blocks, and how many a GPU runs at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_work import KernelWork
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.nvidia_sm import sm_limits
from steelyard.hw.kernels.common.kernel_queries import KernelKind

_TILE = 128
"""Rows and columns of a tile of cuBLAS's largest kernels for products (`sgemm_128x128`)."""

_ELEMENTS_PER_THREAD = 4
_WARP = 32


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


def thread_blocks(work: KernelWork, kind: KernelKind | None, dims: Mapping[str, int | str]) -> Grid:
    """Return the grid of a kernel: tiles of a product, rows of softmax and layer norm, else elements.

    Products have tiles of 128 by 128, with 256 threads that hold 8 x 8 sums each and two stages of 8 steps of
    both operands in shared memory (as CUTLASS's SIMT kernels, and cuBLAS's by their names). ATen's row
    kernels have a block a row, its elementwise kernels 128 threads of four elements
    (aten/src/ATen/native/cuda/{SoftMax,layer_norm_kernel,CUDALoops}.cu*).

    Args:
        work: The work, for kernels of other kinds.
        kind: The kind, None where no model knows it.
        dims: The dims of that kind.
    """
    if kind in ("gemm", "bmm"):
        b, m, n = (int(dims[dim]) for dim in "bmn")
        tiles = ceil(b * m / _TILE) if kind == "gemm" else b * ceil(m / _TILE)
        return _product_grid(tiles * ceil(n / _TILE))
    if kind in ("softmax", "layer_norm"):
        warps = ceil(int(dims["cols"]) / (_WARP * _ELEMENTS_PER_THREAD))
        return Grid(int(dims["rows"]), _WARP * min(32, warps), 32, 0)
    elements = work.bytes_written // element_bytes(work.dtype)
    if work.contraction_flops:
        return _product_grid(ceil(elements / _TILE**2))
    return Grid(max(1, ceil(elements / (128 * _ELEMENTS_PER_THREAD))), 128, 32, 0)


def blocks_per_wave(device: Device, grid: Grid) -> int:
    """Return how many blocks of a grid a GPU runs at once; at least one an SM."""
    resident = sm_limits(device).resident_blocks(grid.threads, grid.registers, grid.shared_bytes)
    return round(device.compute_units.value) * max(1, resident)


def _product_grid(tiles: int) -> Grid:
    return Grid(max(1, tiles), threads=256, registers=128, shared_bytes=2 * 2 * 8 * _TILE * 4)
