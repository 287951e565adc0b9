"""Many regression trees at once: evaluated by numpy from the numbers that a device file holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.kernels.common.kernel_queries import Floats

Trees = tuple[tuple[float, ...], ...]
"""Each tree as `steelyard.hw.devices.learned_models.Regressor.trees` has it."""

_CHUNK = 4096


def sum_of_trees(trees: Trees, features: Floats) -> Floats:
    """Return the sum of the leaves that each row reaches, one in every tree.

    Args:
        trees: Valid ones, as a `Regressor` checks.
        features: What they look at, [rows, features].
    """
    if not trees:
        return np.zeros(len(features))
    forest = _forest(trees)
    # scikit-learn finds its thresholds on features in f32, so that is what is compared with them.
    rounded = features.astype(np.float32)
    parts = [_walk(forest, rounded[start : start + _CHUNK]) for start in range(0, len(rounded), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0)


@dataclass(frozen=True, slots=True)
class _Forest:
    """All nodes of all trees; a leaf leads to itself, so that every walk takes as many steps."""

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats
    roots: NDArray[np.int64]
    depth: int


def _walk(forest: _Forest, features: NDArray[np.float32]) -> Floats:
    rows = np.arange(len(features))[:, None]
    node = np.broadcast_to(forest.roots, (len(features), len(forest.roots)))
    for _ in range(forest.depth):
        goes_left = features[rows, forest.feature[node]] <= forest.threshold[node]
        node = np.where(goes_left, forest.left[node], forest.right[node])
    return forest.value[node].sum(axis=1)


@lru_cache(maxsize=64)
def _forest(trees: Trees) -> _Forest:
    nodes: list[tuple[int, float, int, int]] = []
    roots: list[int] = []
    depth = 0
    for tree in trees:
        roots.append(len(nodes))
        depth = max(depth, _append(nodes, tree))
    feature, threshold, left, right = zip(*nodes, strict=True)
    features = np.array(feature, dtype=np.int64)
    return _Forest(
        feature=np.maximum(features, 0),
        threshold=np.array(threshold),
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        value=np.where(features < 0, np.array(threshold), 0.0),
        roots=np.array(roots, dtype=np.int64),
        depth=depth,
    )


def _append(nodes: list[tuple[int, float, int, int]], tree: Sequence[float]) -> int:
    """Append the nodes of a tree in preorder with the addresses of their branches; return its depth."""
    position = 0

    def take() -> int:
        nonlocal position
        feature, number = int(tree[position]), tree[position + 1]
        position += 2
        here = len(nodes)
        nodes.append((feature, number, here, here))
        if feature < 0:
            return 0
        left_depth = take()
        right = len(nodes)
        right_depth = take()
        nodes[here] = (feature, number, here + 1, right)
        return 1 + max(left_depth, right_depth)

    return take()
