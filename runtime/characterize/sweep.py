"""Kernels that differ in one dim, timed, and the steps in their times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from steelyard.runtime.kernel_predictor.kinds import Config, KernelKind, kernel_kind

from steelyard.hw.errors import UsageError
from steelyard.runtime.characterize.staircase import (
    Penalty,
    Staircase,
    find_staircase,
    off_multiple_penalty,
)

ROUNDS = 3
"""How often each kernel is timed, in another order each time; the shortest time counts."""

Measure = Callable[[KernelKind, Config], float]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Kernels that differ in one dim.

    Attributes:
        kind: Their kind.
        dim: The dim that differs.
        sizes: Its values.
        config: The other dims; the one that differs is left out.
    """

    kind: KernelKind
    dim: str
    sizes: tuple[int, ...]
    config: Mapping[str, int]

    def at(self, size: int) -> Config:
        """Return the kernel of this size."""
        return tuple(size if name == self.dim else self.config[name] for name in self.kind.dims)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How time grows in a sweep.

    Attributes:
        sweep: What was timed.
        times_s: Seconds of each size.
        staircase: The steps, None where time grows smoothly.
        penalty: What sizes between the steps cost, None without steps.
    """

    sweep: Sweep
    times_s: tuple[float, ...]
    staircase: Staircase | None
    penalty: Penalty | None

    def to_json(self, machine: Mapping[str, str | int]) -> dict[str, Any]:
        """Return the report, with what the times depend on."""
        sweep = self.sweep
        points = zip(sweep.sizes, self.times_s, strict=True)
        return {
            "kind": sweep.kind.name,
            "machine": dict(machine),
            "swept": sweep.dim,
            "fixed": dict(sweep.config),
            "staircase": asdict(self.staircase) if self.staircase else None,
            "off_multiple_penalty": asdict(self.penalty) if self.penalty else None,
            "points": [{sweep.dim: size, "time_us": round(1e6 * time_s, 3)} for size, time_s in points],
        }

    def __str__(self) -> str:
        if self.staircase is None or self.penalty is None:
            return f"time grows smoothly with {self.sweep.dim}"
        return (
            f"time grows in steps of {self.staircase.width} {self.sweep.dim} "
            f"(they explain {self.staircase.explained:.0%} of the deviation from a smooth curve); other sizes "
            f"cost {self.penalty.mean:+.1%} in the mean, {self.penalty.worst:+.1%} at {self.penalty.worst_size}"
        )


def find_sweep(kind: str, swept: str) -> Sweep:
    """Return the sweep of a kind, "conv2d" or "gemm", by "channels", "kernel" or "batch".

    Raises:
        UsageError: A product of matrices has no kernel size.
    """
    if (kind, swept) in _SWEEPS:
        return _SWEEPS[kind, swept]
    raise UsageError(
        what=f"{kind} cannot be swept by {swept}",
        where="--sweep",
        why="a product of matrices has no kernel size",
        fix="sweep it by channels or batch, or take --kind conv2d",
    )


def characterize(
    sweep: Sweep, measure: Measure, progress: Progress = lambda done, total, label: None
) -> Behaviour:
    """Time the kernels of a sweep and find the steps in their times."""
    times_s = _shortest_s(sweep, measure, progress)
    staircase = find_staircase(sweep.sizes, times_s)
    penalty = off_multiple_penalty(sweep.sizes, times_s, staircase.width) if staircase else None
    return Behaviour(sweep, tuple(times_s), staircase, penalty)


def _shortest_s(sweep: Sweep, measure: Measure, progress: Progress) -> Sequence[float]:
    found: dict[int, float] = {}
    order, done = list(sweep.sizes), 0
    for _ in range(ROUNDS):
        Random(done).shuffle(order)
        for size in order:
            progress(done, ROUNDS * len(order), f"{sweep.dim}={size}")
            time_s = measure(sweep.kind, sweep.at(size))
            found[size] = min(time_s, found.get(size, time_s))
            done += 1
    progress(done, done, "done")
    return [found[size] for size in sweep.sizes]


_CONV2D, _LINEAR = kernel_kind("conv2d"), kernel_kind("linear")
# A residual block's convolution, and a transformer's product at a width where one vector more can be seen.
_SWEEPS = {
    ("conv2d", "channels"): Sweep(
        _CONV2D, "o", tuple(range(1, 145)), {"n": 1, "c": 64, "h": 28, "r": 3, "stride": 1}
    ),
    ("conv2d", "kernel"): Sweep(
        _CONV2D, "r", tuple(range(1, 14)), {"n": 1, "c": 64, "h": 28, "o": 64, "stride": 1}
    ),
    ("conv2d", "batch"): Sweep(
        _CONV2D, "n", tuple(range(1, 33)), {"c": 64, "h": 14, "o": 64, "r": 3, "stride": 1}
    ),
    ("gemm", "channels"): Sweep(_LINEAR, "n", tuple(range(1, 257)), {"m": 128, "k": 256}),
    ("gemm", "batch"): Sweep(_LINEAR, "m", tuple(range(1, 129)), {"k": 256, "n": 256}),
}
