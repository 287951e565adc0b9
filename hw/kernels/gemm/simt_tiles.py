"""The tiles of cuBLAS's kernels for products on vector lanes."""

from steelyard.hw.devices.device import Device

Tile = tuple[int, int]
"""Columns (of n) and rows (of m) of the result that one thread block computes.

cuBLAS is column-major, so that the first number of a kernel's name, as in `volta_sgemm_128x64_tn`, is along
n.
"""

_PLAIN: tuple[Tile, ...] = ((128, 128), (128, 64), (128, 32), (32, 128), (32, 32))
_CUTLASS: tuple[Tile, ...] = (*_PLAIN, (64, 128), (64, 64), (256, 128))

# The stairs in NeuSight's rows (6945927) show which are taken: on P100 a linear layer has steps of 64 columns
# and 128 rows whatever its size, on T4 of 128 columns, and V100 and A100 are told better without tiles of 64,
# too. From 8.6 on cuBLAS takes CUTLASS's kernels, up to cutlass_80_simt_sgemm_256x128_8x4_nn_align1 (NVIDIA's
# cutlass, issue 3390). Batched products have steps of 128 columns and 64 rows on P100 and P4, and of 128 by
# 128 on A100. Published profiles of f32 attention show the latter on A10, too (ampere_sgemm_128x128_nn for 64
# columns), but on Hopper tiles that fit (sm80_xmma_gemm_*_tilesize64x64x8).
_GEMM: dict[str, tuple[Tile, ...]] = {
    "6": ((64, 128), (64, 32)),
    "7": _PLAIN,
    "8.0": _PLAIN,
    "8": _CUTLASS,
}
_BMM: dict[str, tuple[Tile, ...]] = {
    "6": ((128, 64),),
    "7.0": ((128, 64), (64, 64), (32, 128)),
    "7.5": ((128, 64), (64, 64)),
    "8": ((128, 128),),
    "9": ((128, 128), (128, 64), (64, 128), (64, 64)),
}

SPLITS = (1, 2, 4, 8, 16)
"""Into how many parts, each with a block of its own, the sums of a tile are cut."""

_LARGEST_SPLIT_TILE = 128 * 64


def tiles(device: Device, *, batched: bool) -> tuple[Tile, ...]:
    """Return the tiles that cuBLAS 12 chooses from; those of capability 8 where the device is not listed.

    Its kernels for later devices are still of that one (`ampere_sgemm_128x128_nn`,
    `sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize128x128x8`).
    """
    menu = _BMM if batched else _GEMM
    capability = device.compute_capability or ""
    return menu.get(capability) or menu.get(capability.partition(".")[0]) or menu["8"]


def splits(tile: Tile, *, batched: bool) -> tuple[int, ...]:
    """Return into how many parts the sums of a tile may be cut; a batch has blocks enough."""
    return (1,) if batched or tile[0] * tile[1] > _LARGEST_SPLIT_TILE else SPLITS
