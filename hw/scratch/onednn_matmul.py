"""Memory that oneDNN's AVX-512 products of bf16 matrices take while they run, beside operands and results.

Under AVX2 PyTorch does not hand such products to oneDNN, and nothing is allocated. Each thread packs a block
of the right matrix, and sums in f32. Taken from the allocation events of `aten.mm` and `aten.linear` (torch
2.13 with oneDNN on an AMD EPYC with AVX-512 and no AMX), of which it gives the very bytes where the left
matrix lies row by row. Where it does not, a block of it is packed too; blocks are cut differently then, and
this gives 0.6 to 1.8 times the bytes.
"""

from math import ceil

_COLUMNS = 64
_ROWS = 256
_FEWEST_ROWS = 32
_DEPTH_STEP = 32
_SHALLOW = 1024
"""Up to this depth blocks are at most half as deep as they are beyond."""
_ITEM_BYTES, _SUM_BYTES = 2, 4
_THREAD_BYTES, _FIXED_BYTES = 640, 384
_SMALLEST = 16**3
"""Smaller products are PyTorch's own (mkldnn_gemm_min_size in aten/src/ATen/native/mkldnn/Matmul.cpp)."""


def matmul_scratch_bytes(
    rows: int, depth: int, columns: int, threads: int, *, transposed: bool = False
) -> int:
    """Return the scratch of a product of bf16 matrices [rows, depth] and [depth, columns].

    Args:
        rows: Of the left matrix.
        depth: What is summed over.
        columns: Of the right matrix.
        threads: That work on it.
        transposed: Whether the left matrix lies column by column.
    """
    if rows * depth * columns <= _SMALLEST:
        return 0
    block_rows = _block_rows(rows, ceil(columns / _COLUMNS), threads)
    deepest = _SHALLOW // 2 if depth <= _SHALLOW else _SHALLOW
    block_depth = min(deepest, _DEPTH_STEP * ceil(depth / _DEPTH_STEP))
    packed = block_depth * _COLUMNS * _ITEM_BYTES
    sums = block_rows * min(columns, _COLUMNS) * _SUM_BYTES
    left = block_rows * block_depth * _ITEM_BYTES if transposed else 0
    return threads * (packed + sums + left + _THREAD_BYTES) + _FIXED_BYTES


def _block_rows(rows: int, column_blocks: int, threads: int) -> int:
    """The rows of a block that waste the least: in the last block, and by threads with nothing to do."""

    def used(block: int) -> float:
        blocks = ceil(rows / block)
        tasks = blocks * column_blocks
        return (rows / (blocks * block)) * (tasks / (ceil(tasks / threads) * threads))

    return max(range(min(rows, _ROWS), min(rows, _FEWEST_ROWS) - 1, -1), key=used)
