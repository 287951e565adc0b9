"""Largest batch that fits: storage sizes as linear functions of the batch, from two captures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.allocation_trace import Allocation
from steelyard.hw.base.errors import UsageError
from steelyard.passes.memory.step_memory import StepMemory
from steelyard.runtime.capacity.fits import MemoryBudget, MemoryFit, check_fit, fits_into, usable_bytes

_BATCHES = 2, 3
"""Of the two captures: with a batch of 1, dims are dropped or broadcast that others keep."""
_LARGEST = 1 << 24


@dataclass(frozen=True, slots=True)
class LargestBatch:
    """The largest batch that fits.

    Attributes:
        batch: Samples in a step; 0 if not even one fits.
        fit: What it holds, from a capture with that batch; of one sample if none fits.
    """

    batch: int
    fit: MemoryFit


def largest_batch(capture: Callable[[int], ModuleOp], budget: MemoryBudget) -> LargestBatch:
    """Find the largest batch by bisection, and check it with a capture of its own.

    Args:
        capture: Makes the program for a batch, with `cost.work`.
        budget: The memory that there is.

    Raises:
        UsageError: Two captures with different batches do not run the same ops, or memory does not depend on
            the batch.
    """
    # What kernels take for themselves is no straight line.
    low, high = (budget.memory(capture(batch)).without_kernel_workspace() for batch in _BATCHES)

    def fits(batch: int) -> bool:
        first, steady = (_at_batch(*each, batch) for each in zip(low.steps, high.steps, strict=True))
        return fits_into(StepMemory(first, steady, low.owners), budget)

    if fits(_LARGEST):
        raise UsageError(what="the largest batch has no limit", why="no storage grows with the batch")
    least, most = 0, _LARGEST
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return _checked(capture, budget, least)


def _checked(capture: Callable[[int], ModuleOp], budget: MemoryBudget, most: int) -> LargestBatch:
    """The largest batch up to one, by captures: mostly that one, which leaves out what kernels take."""
    fit = check_fit(capture(max(most, 1)), budget)
    if fit.fits or not most:
        return LargestBatch(most, fit)
    least, found = 0, fit
    while most - least > 1:
        # The share of the peak that there is room for, then halves.
        share = usable_bytes(budget) / fit.peak_reserved_bytes
        batch = most - 1 if most - least == 2 else min(max(int(most * share), (least + most) // 2), most - 1)
        fit = check_fit(capture(batch), budget)
        if fit.fits:
            least, found = batch, fit
        else:
            most = batch
    return LargestBatch(least, found if least else check_fit(capture(1), budget))


def _at_batch(low: Sequence[Allocation], high: Sequence[Allocation], batch: int) -> list[Allocation]:
    first, second = _BATCHES
    if [event.storage for event in low] != [event.storage for event in high]:
        raise UsageError(
            what="the program changes with the batch",
            why=f"it allocates {len(low)} times for {first} samples and {len(high)} times for {second}",
            fix="try batches with `steelyard fits --batch`",
        )
    return [
        replace(a, bytes=a.bytes + (b.bytes - a.bytes) * (batch - first) // (second - first))
        for a, b in zip(low, high, strict=True)
    ]
