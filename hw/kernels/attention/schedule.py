"""Schedule of a fused attention: its tasks, and their time on the SMs."""

from dataclasses import dataclass

import numpy as np

from steelyard.hw.kernels.attention.shape import Attentions
from steelyard.hw.kernels.attention.tiles import TileMenu, by_head, key_tile, query_tile
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

_WIDEST_SPLIT_ITEM_BYTES = 2
"""FlashAttention, which splits, is there for 16 bits and fewer (README of the repository named in
attention_tiles.py); wider types go to kernels that give all keys of a query tile to one SM."""
_ALMOST_FULL = 0.8
_MARGIN = 1.1
SCHEDULED_SEQUENCES = 992
"""Constants of FlashAttention-3: a grid that fills this part of the SMs is not split; a task takes a tenth
more key tiles than an even share; only batches up to this size are planned (the repository named in
attention_tiles.py: hopper/heuristics.h, hopper/flash_prepare_scheduler.cu)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The tasks of each attention. A task is a query tile with a share of the key tiles that it sees.

    Attributes:
        query_tiles: Query tiles over all sequences and heads.
        tile_rows: Rows of a query tile.
        tile_keys: Rows of a key tile.
        splittable: Whether the kernel is one that can share out the key tiles of a query tile.
        splits: Shares of a query tile's key tiles.
        least: Key tiles of the smallest task; its first query sees the fewest keys.
        mean: Key tiles of a task.
        most: Key tiles of the largest task.
    """

    query_tiles: Floats
    tile_rows: Floats
    tile_keys: Floats
    splittable: Column
    splits: Floats
    least: Floats
    mean: Floats
    most: Floats

    @property
    def tasks(self) -> Floats:
        """Tasks over all query tiles."""
        return self.query_tiles * self.splits

    def makespan_s(self, units: float, key_tile_s: Floats, task_s: Floats) -> Floats:
        """Return when the last SM is done.

        Tasks are dealt out longest first, so that those of the last wave are the smallest; equal tasks make
        whole waves. No schedule is shorter than its longest task.

        Args:
            units: SMs, each of which does one task at a time.
            key_tile_s: Time of an SM for one key tile.
            task_s: Time of a task besides its key tiles.
        """
        waves = self.tasks / units
        idle = (np.ceil(waves) - waves) * (self.least * key_tile_s + task_s)
        return np.maximum(waves * (self.mean * key_tile_s + task_s) + idle, self.most * key_tile_s + task_s)


def schedule(shape: Attentions, menu: TileMenu, units: float, may_split: bool = True) -> Schedule:
    """Return the tasks of each attention on a device with so many SMs, where keys may be split or not."""
    rows = shape.rows_per_kv_head
    tile_rows = query_tile(menu, shape.d, rows)
    tiles_per_sequence = shape.hkv * np.ceil(rows / tile_rows)
    query_tiles = shape.b * tiles_per_sequence

    split_tiles = np.ceil(shape.skv / by_head(menu.split_keys, shape.d))
    grid = tiles_per_sequence if menu.by_rule else query_tiles
    has_splits = may_split and shape.item_bytes <= _WIDEST_SPLIT_ITEM_BYTES
    splittable = has_splits & (grid < _ALMOST_FULL * units) & (split_tiles > menu.few_key_tiles)
    tile_keys = key_tile(menu, shape.d, splittable)
    last = np.ceil(shape.skv / tile_keys)
    # The first tile's last query sees most; from tile to tile the sight grows evenly.
    queries = np.minimum(shape.sq, tile_rows * shape.hkv / shape.hq)
    first = np.minimum(last, np.ceil((shape.first_seen + queries - 1) / tile_keys))

    share = np.ceil(query_tiles * last * _MARGIN / units)
    planned = splittable & (shape.b <= SCHEDULED_SEQUENCES)
    splits = np.where(planned, np.ceil(last / share), 1)
    most = np.ceil(last / splits)
    level = first == last
    return Schedule(
        query_tiles=query_tiles,
        tile_rows=tile_rows,
        tile_keys=tile_keys,
        splittable=splittable,
        splits=splits,
        least=np.where(level, most, first / splits),
        mean=np.where(level, most, (first + last) / 2 / splits),
        most=most,
    )
