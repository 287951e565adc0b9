"""The largest batch that fits: sizes of storages as straight lines in the batch, from two captures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.allocations import Allocation
from steelyard.hw.allocators.cuda_options import CudaOptions
from steelyard.hw.device import Device
from steelyard.hw.errors import UsageError
from steelyard.runtime.fits import Fit, check_fit, fit_of, steps_of

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
    fit: Fit


def largest_batch(
    capture: Callable[[int], ModuleOp],
    device: Device,
    reserve_bytes: int = 0,
    options: CudaOptions | None = None,
) -> LargestBatch:
    """Find the largest batch by bisection, and check it with a capture of its own.

    Args:
        capture: Makes the program for a batch, with `cost.work`.
        device: The device.
        reserve_bytes: What is to be left free.
        options: Of the CUDA allocator.

    Raises:
        UsageError: Two captures with different batches do not run the same ops, or memory does not depend on
            the batch.
    """
    low_steps, high_steps = (steps_of(capture(batch), device) for batch in _BATCHES)

    def fits(batch: int) -> bool:
        steps = [_at_batch(*each, batch) for each in zip(low_steps, high_steps, strict=True)]
        return fit_of(steps, device, reserve_bytes, options).fits

    if fits(_LARGEST):
        raise UsageError(what="the largest batch has no limit", why="no storage grows with the batch")
    least, most = 0, _LARGEST
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    batch = least
    fit = check_fit(capture(max(batch, 1)), device, reserve_bytes, options)
    # Kernels may be chosen by size, so that the straight line is off by a little.
    while batch and not fit.fits:
        batch -= 1
        fit = check_fit(capture(max(batch, 1)), device, reserve_bytes, options)
    return LargestBatch(batch, fit)


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
