"""Learned kernel regressors of a device: a linear law, corrected by regression trees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.hw.base.kernel_kinds import CATEGORICAL_DIMS, DIMS, FEATURES, KernelKind
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand

LearnedKind = Literal[
    "gemm",
    "bmm",
    "conv2d",
    "depthwise_conv2d",
    "softmax",
    "layer_norm",
    "attention_prefill",
]
"""Kernels that share a regressor; as in nn-Meter (MobiSys 2021), depthwise convolutions have their own."""

KERNELS: Mapping[LearnedKind, KernelKind] = {
    "gemm": "gemm",
    "bmm": "bmm",
    "conv2d": "conv2d",
    "depthwise_conv2d": "conv2d",
    "softmax": "softmax",
    "layer_norm": "layer_norm",
    "attention_prefill": "attention_prefill",
}
"""The kernel kind of each; depthwise convolutions are those with groups = c = o."""

VECTORIZED: Mapping[KernelKind, tuple[str, ...]] = {
    "gemm": ("m", "n", "k"),
    "bmm": ("m", "n", "k"),
    "conv2d": ("c", "o"),
    "softmax": ("cols",),
    "layer_norm": ("cols",),
    "attention_prefill": ("sq", "skv", "d"),
}
"""Dims that kernels vectorize over."""

LAW = ("calls", "flops", "padded flops", "bytes read", "bytes written")
"""The terms of the linear law, a sum of seconds per unit of each."""


def feature_names(kind: KernelKind) -> tuple[str, ...]:
    """Return the features of a kind's trees: log2 of sizes, of work, and of the overhead of padding."""
    padding = tuple(f"{dim} padded / {dim}" for dim in VECTORIZED[kind])
    return (*FEATURES[kind], "flops", "bytes read", "bytes written", "flops / byte", *padding)


def size_names(kind: KernelKind) -> tuple[str, ...]:
    """Return the numeric dims of a kind."""
    return tuple(dim for dim in DIMS[kind] if dim not in CATEGORICAL_DIMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regressor:
    """Seconds of a kernel: the linear law, times exp(offset + the sum of one leaf of each tree).

    Attributes:
        features: The features of the trees, in order.
        law_s: Seconds per unit of each term of `LAW`.
        offset: The constant term of the ensemble.
        trees: The nodes of each tree in preorder, two numbers a node: a feature index and a threshold (the
            left branch follows if the feature is at most the threshold, then the right one), or -1 and a
            leaf's value.

    Raises:
        ValueError: The law has a missing or negative coefficient or only zeros, or a tree is malformed.
    """

    features: tuple[str, ...]
    law_s: tuple[float, ...]
    offset: float
    trees: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if len(self.law_s) != len(LAW) or min(self.law_s) < 0 or not 0 < sum(self.law_s) < float("inf"):
            raise ValueError(f"the law has a positive number or 0 for each of {', '.join(LAW)}")
        for index, tree in enumerate(self.trees):
            if not _is_tree(tree, len(self.features)):
                raise ValueError(f"tree {index} is no tree over {len(self.features)} features")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Accuracy of predicted times, in nn-Meter's figures.

    Attributes:
        kernels: Number of compared kernels.
        within_5_percent: The part of them that is at most 5% off.
        within_10_percent: The part that is at most 10% off.
        rmspe: Root of the mean squared relative error.
    """

    kernels: int
    within_5_percent: float
    within_10_percent: float
    rmspe: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Regressor of one kind and dtype of eager kernels on one device.

    Attributes:
        source: The measurements.
        threads: CPU threads that they ran with.
        rows: Number of training kernels.
        held_out: Accuracy on held-out kernels.
        repeats: Agreement of a second measurement of those with the first, the best any predictor can do.
        smallest: Smallest training value of each numeric dim, in the order of `DIMS`.
        largest: Largest training value likewise.
        regressor: The predictor.
        spread: Measured over predicted time of the held-out kernels.
    """

    source: Source
    threads: int
    rows: int
    held_out: Accuracy
    repeats: Accuracy
    smallest: tuple[int, ...]
    largest: tuple[int, ...]
    regressor: Regressor
    spread: ErrorBand


Learning = Mapping[LearnedKind, Mapping[DType, Learned]]
"""Regressors of a device, by kind and dtype."""


def require_features_of_kinds(learning: Learning) -> None:
    """Check that every regressor has the features and dims of its kind.

    Raises:
        ValueError: The features are those of another version, or the ranges do not match the dims.
    """
    for learned, types in learning.items():
        kind = KERNELS[learned]
        for dtype, found in types.items():
            place = f"{learned} in {dtype}"
            if found.regressor.features != feature_names(kind):
                raise ValueError(f"{place}: features are not {', '.join(feature_names(kind))}; learn it anew")
            if not len(found.smallest) == len(found.largest) == len(size_names(kind)):
                raise ValueError(f"{place}: smallest and largest are for {', '.join(size_names(kind))}")


def _is_tree(nodes: tuple[float, ...], features: int) -> bool:
    """Whether pairs of numbers are the nodes of one binary tree in preorder."""
    missing = 1
    for feature in nodes[::2]:
        if missing == 0 or not -1 <= feature < features or feature % 1:
            return False
        missing += 1 if feature >= 0 else -1
    finite = all(-float("inf") < number < float("inf") for number in nodes)
    return missing == 0 and len(nodes) % 2 == 0 and finite
