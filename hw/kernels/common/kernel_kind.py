"""Kernel kind: one recipe that holds all that is said of the kernels of a kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_work import WorkKind
from steelyard.hw.kernels.common.kernel_model import KernelModel
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.common.launch_grid import Grid

LARGEST_DIM = 2**31 - 1
"""The largest 32-bit index of a kernel."""

Dims = Mapping[str, Column]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dim:
    """Values of one dim: integers in a range, or words.

    Attributes:
        default: The value where none is given; None if one must be.
        smallest: The smallest integer.
        largest: The largest integer.
        words: The words of a categorical dim; empty for integers.
        counts: Whether the loops of a kernel grow with it.
    """

    default: int | str | None = None
    smallest: int = 1
    largest: int = LARGEST_DIM
    words: tuple[str, ...] = ()
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows whose dims contradict each other.

    Attributes:
        rows: Those rows.
        dim: The dim to blame.
        why: The contradiction, to follow "it".
    """

    rows: Mask
    dim: str
    why: str


def _no_conflicts(dims: Dims) -> Iterator[Conflict]:
    yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelKind:
    """Kernels that share dims and a model.

    Attributes:
        name: The kind in tables, device files and profiles.
        work: The kind of work that the kernels do, for rooflines.
        dims: The dims by name, in the order of calibration points.
        features: Coordinates in which the time is smooth: log2 of products and quotients of dims.
        model: The latency model.
        call_ratio: The host's time for the call over that of `torch.add`.
        vectorized: The dims that kernels cut into vectors.
        regressors: The regressors that are learned for the kind, and the rows that each is for. nn-Meter
            (MobiSys 2021) has depthwise convolutions apart from others.
        grid: The launch grid of one kernel; None where that follows from the bytes it writes.
        conflicts: The rows whose dims contradict each other.
    """

    name: str
    work: WorkKind
    dims: Mapping[str, Dim]
    features: tuple[str, ...]
    model: KernelModel
    call_ratio: float = 1.0
    vectorized: tuple[str, ...] = ()
    regressors: Mapping[str, Callable[[Dims], Mask]] = field(
        default_factory=dict[str, Callable[[Dims], Mask]]
    )
    grid: Callable[[Mapping[str, int | str]], Grid] | None = None
    conflicts: Callable[[Dims], Iterator[Conflict]] = _no_conflicts

    @property
    def multiplies(self) -> bool:
        """Whether the time is mostly that of multiply-accumulate chains."""
        return self.work in ("contraction", "convolution", "attention")

    @property
    def sizes(self) -> tuple[str, ...]:
        """The dims that are integers."""
        return tuple(name for name, dim in self.dims.items() if not dim.words)

    @property
    def regressor_features(self) -> tuple[str, ...]:
        """The features of learned trees: log2 of sizes, of work, and of what padding to vectors adds."""
        padding = tuple(f"{dim} padded / {dim}" for dim in self.vectorized)
        return (*self.features, "flops", "bytes read", "bytes written", "flops / byte", *padding)

    def coordinates(self, dims: Dims) -> Floats:
        """Return the features of kernels, [rows, features]: log2 of each."""
        sizes = {name: dims[name].astype(np.float64) for name in self.sizes}
        return np.log2(np.stack([_size(feature, sizes) for feature in self.features], axis=1))

    def labels(self, dims: Dims) -> Column:
        """Return the words that tell kernels apart besides sizes, such as the function or the direction."""
        words = [dims[name] for name, dim in self.dims.items() if dim.words]
        return words[0] if words else np.full(len(next(iter(dims.values()))), "")

    def columns(self, rows: Sequence[Mapping[str, float | str]]) -> dict[str, Column]:
        """Return kernels, each given by its dims, as columns."""
        return {
            name: np.array([row[name] for row in rows], dtype=None if dim.words else np.float64)
            for name, dim in self.dims.items()
        }


def every_row(dims: Dims) -> Mask:
    """Return a mask of all rows: a regressor that is for the whole kind."""
    return np.ones(len(next(iter(dims.values()))), bool)


def _size(feature: str, sizes: Mapping[str, Floats]) -> Floats:
    if "/" in feature:
        over, under = feature.split(" / ")
        return sizes[over] / sizes[under]
    return np.prod([sizes[dim] for dim in feature.split()], axis=0)
