"""What would make a model fit into a device that it does not fit into, and what that costs in time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from steelyard.hw.allocators.cuda_options import CudaOptions
from steelyard.hw.device import Device
from steelyard.hw.registry import load_device
from steelyard.runtime.fits import check_fit
from steelyard.runtime.max_batch import largest_batch
from steelyard.runtime.pipeline import Target, annotate_program, load_costed, load_program, step_time_us


@dataclass(frozen=True, slots=True)
class Way:
    """A change and what comes of it.

    Attributes:
        change: What to change, as it is written on the command line.
        fits: Whether that alone is enough.
        peak_reserved_bytes: What the allocator then takes at the most.
        time_per_sample: Predicted time of a step per sample, over that without the change.
    """

    change: str
    fits: bool
    peak_reserved_bytes: int
    time_per_sample: float


def ways_to_fit(
    spec: str, choices: dict[str, Any], device: str, reserve_bytes: int, options: CudaOptions | None
) -> list[Way]:
    """Try a smaller batch, half precision and an optimizer with less state, each by itself.

    Args:
        spec: A SPEC; a program in a file is what it is, and has no ways.
        choices: As for `load_program`.
        device: Name or file of the device.
        reserve_bytes: What is to be left free.
        options: Of the CUDA allocator.
    """
    if spec.endswith(".mlir"):
        return []
    hardware = load_device(device)
    before_us = _time_per_sample_us(spec, choices, device)
    ways: list[Way] = []
    for change, changed in _changes(spec, choices, hardware, reserve_bytes, options):
        fit = check_fit(load_costed(spec, changed), hardware, reserve_bytes, options)
        after_us = _time_per_sample_us(spec, changed, device)
        ways.append(Way(change, fit.fits, fit.peak_reserved_bytes, after_us / before_us))
    return ways


def _changes(
    spec: str, choices: dict[str, Any], device: Device, reserve_bytes: int, options: CudaOptions | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    if (choices.get("batch") or 1) > 1:
        found = largest_batch(
            lambda batch: load_costed(spec, {**choices, "batch": batch}), device, reserve_bytes, options
        )
        if found.batch:
            yield f"--batch {found.batch}", {**choices, "batch": found.batch}
    if choices.get("dtype", "float32") == "float32" and "bf16" in device.matrix_peak_flops_per_s:
        yield "--dtype bfloat16", {**choices, "dtype": "bfloat16"}
    if choices.get("train") and choices.get("optimizer", "adamw") == "adamw":
        yield "--optimizer sgd", {**choices, "optimizer": "sgd"}


def _time_per_sample_us(spec: str, choices: dict[str, Any], device: str) -> float:
    module = load_program(spec, choices, device=device)
    annotate_program(module, Target(device=device))
    return step_time_us(module) / (choices.get("batch") or 1)
