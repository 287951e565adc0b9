"""The functions of the API on the memory of a device."""

from pathlib import Path
from typing import Any, Unpack, cast

from steelyard.compiler.dialects.program import assumptions
from steelyard.compiler.frontend.options import no_effect
from steelyard.compiler.pass_infra.totals import unknown_ops
from steelyard.hw.allocators.choice import make_allocator
from steelyard.hw.allocators.context import parse_version
from steelyard.hw.allocators.options import parse_allocator
from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.units import parse_bytes
from steelyard.hw.devices.registry import load_device
from steelyard.runtime.api.results import Fit
from steelyard.runtime.api.source import Model, StepOptions, opened
from steelyard.runtime.capacity.fits import MemoryBudget, fit_of, usable_bytes
from steelyard.runtime.capacity.max_batch import largest_batch
from steelyard.runtime.capacity.memory_timeline import memory_timeline as timeline
from steelyard.runtime.capacity.memory_timeline import require_timeline_name, write_timeline
from steelyard.runtime.capacity.suggestions import suggest
from steelyard.runtime.program.conditions import conditions
from steelyard.runtime.program.load import load_costed

_ZERO_DEVICES = 8


class CapacityOptions(StepOptions, total=False):
    """The step of a model, and the memory that there is.

    Attributes:
        reserve: Memory to leave free, such as `1GiB`.
        allocator: Options as in PYTORCH_CUDA_ALLOC_CONF, or `backend:onnxruntime`.
        cuda: CUDA version; the newest of the device by default.
        keep_gradients: Set gradients to zero instead of None.
    """

    reserve: str
    allocator: str
    cuda: str
    keep_gradients: bool


def fits(
    model: Model,
    *,
    target: str,
    devices: int | None = None,
    memory_timeline: Path | None = None,
    **options: Unpack[CapacityOptions],
) -> Fit:
    """Check whether a model fits into a device's memory, and suggest changes if it does not.

    Args:
        model: A SPEC or a module.
        target: The device, by name or file.
        devices: Devices that ZeRO may shard states of training over, for suggestions; 8 by default.
        memory_timeline: A `.csv` or `.json` file to write live bytes after each allocation to.
        options: See `CapacityOptions`.

    Raises:
        SteelyardError: The model cannot be captured, or the device is not known.
    """
    if memory_timeline:
        require_timeline_name(memory_timeline)
    budget, step = _budget(target, options)
    if devices and not _trains(step):
        raise no_effect("devices", "a forward pass", "ZeRO shards what training keeps", "add --train")
    with opened(model, step) as (source, choices):
        module = load_costed(source, choices, target)
        memory = budget.memory(module)
        fit = fit_of(memory, budget, unknown_ops(module))
        if memory_timeline:
            write_timeline(
                memory_timeline, timeline(memory, make_allocator(budget.device, None, budget.options))
            )
        ways = () if fit.fits else tuple(suggest(source, choices, target, budget, devices or _ZERO_DEVICES))
    return Fit(fit, ways, assumptions(module), holds_for=conditions(module))


def max_batch(model: Model, *, target: str, **options: Unpack[CapacityOptions]) -> Fit:
    """Find the largest batch that fits into a device's memory.

    Args:
        model: A SPEC, or a module whose `inputs` are a function of the batch.
        target: The device, by name or file.
        options: See `CapacityOptions`.

    Raises:
        SteelyardError: The model cannot be captured, or its memory does not depend on the batch.
    """
    budget, step = _budget(target, options)
    make_inputs: Any = step.get("inputs")
    if step.get("batch"):
        raise no_effect("batch", "max-batch", "it finds the batch")
    if not isinstance(model, str) and not callable(make_inputs):
        raise UsageError(
            what="the inputs of a live module do not vary with the batch",
            fix="pass a function of the batch, such as inputs=lambda batch: torch.empty(batch, 3, 224, 224)",
        )

    told: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def at(batch: int) -> Any:
        sized: Any = {"batch": batch} if isinstance(model, str) else {"inputs": make_inputs(batch)}
        whole: Any = {**step, **sized}
        with opened(model, whole) as (source, choices):
            module = load_costed(source, choices, target)
        told[batch] = assumptions(module), conditions(module)
        return module

    found = largest_batch(at, budget)
    assumed, held = told[max(found.batch, 1)]
    return Fit(found.fit, (), assumed, found.batch, held)


def _budget(target: str, options: CapacityOptions) -> tuple[MemoryBudget, StepOptions]:
    """The memory that there is, checked before a model is captured, and the options of the step."""
    step = cast("dict[str, Any]", dict(options))
    reserve, allocator, cuda = (step.pop(name, "") for name in ("reserve", "allocator", "cuda"))
    keep_gradients = step.pop("keep_gradients", False)
    device, chosen = load_device(target), parse_allocator(allocator)
    if cuda and device.vendor != "nvidia":
        raise no_effect("cuda", device.name, "it does not run CUDA")
    if keep_gradients and not _trains(step):
        raise no_effect("keep_gradients", "a forward pass", "it has no gradients", "add --train")
    make_allocator(device, None, chosen)  # refuses options that its allocator has not
    budget = MemoryBudget(
        device=device,
        reserve_bytes=parse_bytes(reserve or "0"),
        options=chosen,
        cuda=parse_version(cuda) if cuda else None,
        keep_gradients=keep_gradients,
    )
    usable_bytes(budget)
    return budget, cast("StepOptions", step)


def _trains(step: Any) -> bool:
    return bool(step.get("train") or step.get("step"))
