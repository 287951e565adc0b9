"""Sweeps of kernels over one size, and their time behaviour."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.runtime.characterize.staircase import Staircase, find_staircase
from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES, Config, KernelFamily

Swept = Literal["channels", "kernel", "batch"]
SweptKind = Literal["conv2d", "depthwise_conv2d", "gemm"]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Kernels that differ in one size.

    Attributes:
        family: Their kernel family.
        dims: The swept dims, all equal.
        sizes: Their values, ascending.
        others: The fixed dims.
    """

    family: KernelFamily
    dims: tuple[str, ...]
    sizes: tuple[int, ...]
    others: Mapping[str, int]

    @property
    def configs(self) -> list[Config]:
        """The kernel of each size. Padding is half the window, so that the output keeps its size."""
        found: list[Config] = []
        for size in self.sizes:
            dims = {**self.others, **dict.fromkeys(self.dims, size)}
            if self.family.kind == "conv2d":
                dims["pad"] = dims["r"] // 2
            found.append(tuple(dims[name] for name in self.family.sizes))
        return found


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Time over size in a sweep.

    Attributes:
        sweep: The sweep.
        times_s: Seconds of each size.
        staircase: The steps, None if time grows smoothly.
    """

    sweep: Sweep
    times_s: tuple[float, ...]
    staircase: Staircase | None

    def __str__(self) -> str:
        steps, name = self.staircase, self.sweep.dims[0]
        if steps is None:
            return f"time grows smoothly with {name}: no steps"
        return (
            f"time grows in steps of {steps.width} {name}, {steps.explained:.0%} of what a curve leaves; "
            f"sizes between cost {steps.penalty:+.1%} on average, "
            f"{steps.worst_penalty:+.1%} at {steps.worst_size}"
        )


def find_sweep(kind: SweptKind, swept: Swept, others: Mapping[str, int], largest: int | None) -> Sweep:
    """Return the sweep of a kind.

    Args:
        kind: The kernel kind.
        swept: The size that varies.
        others: Fixed dims that replace the defaults.
        largest: The largest size, in place of the default.

    Raises:
        UsageError: A matrix product has no kernel size, or a dim of `others` is swept or unknown.
    """
    if (kind, swept) not in _SWEEPS:
        raise UsageError(
            what=f"{kind} cannot be swept by {swept}",
            where="--sweep",
            why="a matrix product has no window",
            fix="sweep it by channels or batch, or take --kind conv2d",
        )
    sweep = _SWEEPS[kind, swept]
    for name in others:
        if name not in sweep.others:
            raise UsageError(
                what=f"{name} cannot be set in a sweep of {' = '.join(sweep.dims)}",
                where="--at",
                fix=did_you_mean(name, sweep.others),
            )
    sizes = sweep.sizes
    if largest is not None:
        sizes = tuple(range(1, largest + 1, sizes[1] - sizes[0]))
    return replace(sweep, others={**sweep.others, **others}, sizes=sizes)


def characterize(sweep: Sweep, time: Callable[[Sequence[Config]], Sequence[float]]) -> Behaviour:
    """Find the steps in the times of a sweep.

    Args:
        sweep: The kernels.
        time: Returns the seconds of each.
    """
    times_s = tuple(time(sweep.configs))
    return Behaviour(sweep, times_s, find_staircase(sweep.sizes, times_s))


_CONV2D, _DEPTHWISE, _GEMM = (
    KERNEL_FAMILIES["conv2d"],
    KERNEL_FAMILIES["depthwise_conv2d"],
    KERNEL_FAMILIES["gemm"],
)
_LAYER = {"n": 1, "c": 64, "h": 28, "w": 28, "o": 64, "r": 3, "s": 3, "stride": 1, "groups": 1}
_CHANNELWISE = {**_LAYER, "groups": 64}
_PRODUCT = {"b": 1, "m": 128, "n": 256, "k": 256}


def _sweep(family: KernelFamily, dims: tuple[str, ...], sizes: range, others: Mapping[str, int]) -> Sweep:
    return Sweep(family, dims, tuple(sizes), {k: size for k, size in others.items() if k not in dims})


_SWEEPS: Mapping[tuple[SweptKind, Swept], Sweep] = {
    ("conv2d", "channels"): _sweep(_CONV2D, ("o",), range(1, 145), _LAYER),
    ("conv2d", "kernel"): _sweep(_CONV2D, ("r", "s"), range(1, 14, 2), _LAYER),
    ("conv2d", "batch"): _sweep(_CONV2D, ("n",), range(1, 33), _LAYER),
    ("depthwise_conv2d", "channels"): _sweep(_DEPTHWISE, ("c", "o", "groups"), range(2, 146), _CHANNELWISE),
    ("depthwise_conv2d", "kernel"): _sweep(_DEPTHWISE, ("r", "s"), range(1, 14, 2), _CHANNELWISE),
    ("depthwise_conv2d", "batch"): _sweep(_DEPTHWISE, ("n",), range(1, 33), _CHANNELWISE),
    ("gemm", "channels"): _sweep(_GEMM, ("n",), range(1, 257), _PRODUCT),
    ("gemm", "batch"): _sweep(_GEMM, ("m",), range(1, 129), _PRODUCT),
}
"""A 3x3 convolution of a residual network, and a product of a small transformer."""
