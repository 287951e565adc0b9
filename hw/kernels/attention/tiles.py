"""Attention tiles: queries and keys per tile, by compute capability and head size.

A query tile stays on one SM, which walks over the key tiles that it sees. The queries of all heads that
share keys are packed in the same tiles.

Sources: github.com/Dao-AILab/flash-attention, hopper/tile_size.h (FlashAttention-3, which runs on compute
capability 8.0 and 9.0) and csrc/flash_attn/src/flash_fwd_launch_template.h (FlashAttention-2, elsewhere).
Blackwell kernels take 128 by 128 (csrc/../flash_attn/cute/flash_fwd_sm100.py). FlashAttention has no kernels
for compute capabilities before 8.0 (its README); those that serve there split no keys.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

ByHead = tuple[tuple[float, int], ...]
"""Sizes of a tile, each with the largest head that it is for."""

WIDEST_HEAD = 256
"""Features of a head whose sums one pass keeps in registers; a wider head computes its scores again."""


@dataclass(frozen=True, slots=True)
class TileMenu:
    """The tiles of one library of kernels.

    Attributes:
        queries: Rows of a query tile.
        keys: Rows of a key tile.
        split_keys: The same in the kernel that may share the keys of one query tile out to several SMs.
        warpgroup: Rows below which a tile shrinks to so many, since the other warps have nothing to do.
        few_key_tiles: Key tiles of a query tile up to which that kernel is not taken.
        by_rule: Whether the library takes that kernel by a rule of its own, which looks at the tiles of one
            sequence. Elsewhere several libraries serve, and the faster kernel is taken.
        wide_splits: Shares that one query of a head wider than `WIDEST_HEAD` is always cut into, whole tiles
            of partial results each; 1 where that is not done.
    """

    queries: ByHead
    keys: ByHead
    split_keys: ByHead
    warpgroup: int | None = None
    few_key_tiles: float = 0
    by_rule: bool = False
    wide_splits: int = 1


_FLASH_3_AMPERE = TileMenu(
    queries=((inf, 128),),
    keys=((64, 112), (inf, 64)),
    split_keys=((64, 80), (96, 48), (128, 112), (inf, 64)),
    few_key_tiles=4,  # num_splits_heuristic of hopper/heuristics.h
    by_rule=True,
)
_HOPPER_KEYS: ByHead = ((128, 128), (192, 112), (256, 80), (inf, 64))
_FLASH_3_HOPPER = TileMenu(
    queries=((64, 192), (inf, 128)),
    keys=_HOPPER_KEYS,
    split_keys=_HOPPER_KEYS,
    warpgroup=64,
    # Serving gives it so many splits at most, VLLM_FLASH_ATTN_MAX_NUM_SPLITS_FOR_CUDA_GRAPH of
    # github.com/vllm-project/vllm, and then it does not ask whether the tiles are few.
    by_rule=True,
    wide_splits=32,
)
_BLACKWELL = TileMenu(queries=((inf, 128),), keys=((inf, 128),), split_keys=((inf, 128),), warpgroup=64)
_FLASH_2_KEYS: ByHead = ((64, 256), (128, 128), (inf, 64))
_FLASH_2 = TileMenu(queries=((inf, 64),), keys=_FLASH_2_KEYS, split_keys=_FLASH_2_KEYS)
_UNSPLIT = replace(_FLASH_2, few_key_tiles=inf)

_BEFORE_FLASH = ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5")
_MENUS = {
    **dict.fromkeys(_BEFORE_FLASH, _UNSPLIT),
    "8.0": _FLASH_3_AMPERE,
    "9.0": _FLASH_3_HOPPER,
    "10.0": _BLACKWELL,
    "10.3": _BLACKWELL,
}


def tile_menu(device: Device) -> TileMenu:
    """Return the tiles of the library that a device is served by."""
    return _MENUS.get(device.compute_capability or "", _FLASH_2)


def query_tile(menu: TileMenu, d: Floats, rows: Floats) -> Floats:
    """Return the rows of a query tile for heads of `d` with so many rows of queries."""
    tile = by_head(menu.queries, d)
    if menu.warpgroup is None:
        return tile
    return np.where(rows <= menu.warpgroup, menu.warpgroup, tile)


def key_tile(menu: TileMenu, d: Floats, splittable: Column) -> Floats:
    """Return the rows of a key tile."""
    return np.where(splittable, by_head(menu.split_keys, d), by_head(menu.keys, d))


def by_head(sizes: ByHead, d: Floats) -> Floats:
    """Return the size that goes with each head."""
    widest = np.array([head for head, _ in sizes])
    return np.array([size for _, size in sizes], dtype=np.float64)[np.searchsorted(widest, d)]
