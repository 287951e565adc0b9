"""The dims of a kernel as coordinates in which its time is smooth: octaves of sizes, and words apart."""

from collections.abc import Mapping

import numpy as np

from steelyard.hw.base.kernel_kinds import CATEGORICAL_DIMS, FEATURES, KernelKind
from steelyard.hw.kernels.common.kernel_queries import Column, Floats


def features(kind: KernelKind, dims: Mapping[str, Column]) -> Floats:
    """Return the coordinates of kernels, [rows, features]: log2 of each size."""
    sizes = {dim: column.astype(np.float64) for dim, column in dims.items() if dim not in CATEGORICAL_DIMS}
    return np.log2(np.stack([_size(feature, sizes) for feature in FEATURES[kind]], axis=1))


def words(kind: KernelKind, dims: Mapping[str, Column]) -> Column:
    """Return what tells kernels of a kind apart besides sizes: the function, or the direction."""
    column = {"elementwise": "fn", "conv2d": "direction"}.get(kind)
    return dims[column] if column else np.full(len(next(iter(dims.values()))), "")


def _size(feature: str, sizes: Mapping[str, Floats]) -> Floats:
    if "/" in feature:
        over, under = feature.split(" / ")
        return sizes[over] / sizes[under]
    return np.prod([sizes[dim] for dim in feature.split()], axis=0)
