"""Traffic of a matrix product between memory and the last-level cache."""

import numpy as np

from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.gemm.tensor_core_shape import Products

WEIGHTS_BETWEEN = 6
"""How many weights of this size are read before the same one is read again: as many copies take turns in the
measurements behind the constants (aiconfigurator's collector at 095f58a), and a model has more."""

MISS_STEEPNESS = 4.0
"""How sharply data stops fitting: a working set of twice the cache misses 94 %, one of half 6 %."""


def memory_traffic(shape: Products, cache_bytes: float) -> tuple[Floats, Floats]:
    """Return the bytes that come from or go to memory, and the part of the right operand that misses.

    What the kernel before has written (the left operand, and both of a batched product) is still in the cache
    unless it and the result exceed it. A weight has to outlast the other weights as well.

    Args:
        shape: The products.
        cache_bytes: The part of the last cache that keeps what will be read again.
    """
    recent_bytes = shape.left_bytes + shape.written_bytes
    if not shape.weight:
        recent_bytes = recent_bytes + shape.right_bytes
        misses = _miss(recent_bytes / cache_bytes)
        return misses * recent_bytes, misses
    recent_misses = _miss(recent_bytes / cache_bytes)
    weight_misses = _miss((WEIGHTS_BETWEEN * shape.right_bytes + recent_bytes) / cache_bytes)
    return recent_misses * recent_bytes + weight_misses * shape.right_bytes, weight_misses


def _miss(fill: Floats) -> Floats:
    return 1 - 1 / (1 + np.minimum(fill, 1e9) ** MISS_STEEPNESS)
