"""Learned kernel regressors of a device: a linear law, corrected by regression trees."""

from dataclasses import dataclass

from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand

LAW = ("calls", "flops", "padded flops", "bytes read", "bytes written")
"""The terms of the linear law, a sum of seconds per unit of each."""


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
        smallest: Smallest training value of each numeric dim, in the order of its kind.
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


def _is_tree(nodes: tuple[float, ...], features: int) -> bool:
    """Whether pairs of numbers are the nodes of one binary tree in preorder."""
    missing = 1
    for feature in nodes[::2]:
        if missing == 0 or not -1 <= feature < features or feature % 1:
            return False
        missing += 1 if feature >= 0 else -1
    finite = all(-float("inf") < number < float("inf") for number in nodes)
    return missing == 0 and len(nodes) % 2 == 0 and finite
