"""Suggestions that would make a model fit into a device, and their price in time."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.dialects.program import ROLE, argument_texts, entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import read_totals, unknown_ops
from steelyard.hw.base.errors import DeviceError, UsageError
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.memory.zero import Zero
from steelyard.passes.rematerialize.offload import OffloadPass
from steelyard.passes.rematerialize.recompute import RecomputePass
from steelyard.runtime.capacity.fits import MemoryBudget, MemoryFit, check_fit, fit_of, usable_bytes
from steelyard.runtime.capacity.max_batch import largest_batch
from steelyard.runtime.program.load import is_program, load_costed, load_program, step_time_us

if TYPE_CHECKING:
    from steelyard.compiler.frontend.model import LoadedModel

_STAGES = (1, 2, 3)
_REWRITES = (RecomputePass, OffloadPass)
_TRIES = 3
"""Other storages leave other gaps, which is known only afterwards."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change and what comes of it.

    Attributes:
        change: What to change, as it is written on the command line where there is an option for it.
        fits: Whether that alone is enough.
        peak_reserved_bytes: What the allocator then takes at the most; None where the change cannot be made.
        time_per_sample: Predicted time of a step per sample, over that without the change; None where it is
            not known.
        why: Why the change cannot be made.
    """

    change: str
    fits: bool
    peak_reserved_bytes: int | None
    time_per_sample: float | None
    why: str = ""


def suggest(
    spec: "str | LoadedModel", choices: dict[str, Any], device: str, budget: MemoryBudget, ranks: int
) -> list[Suggestion]:
    """Try each change by itself: batch, type, optimizer, recompute, and sharing out among devices.

    Args:
        spec: A SPEC; a program in a file, and a model that is loaded already, can only be rewritten or
            shared out.
        choices: As for `load_program`.
        device: Name or file of the device.
        budget: The memory that there is.
        ranks: Devices that could share parameters, gradients and optimizer state; 1 for none.
    """
    program = load_program(spec, choices, device=device)
    annotate(program, Target(device=device))
    samples = choices.get("batch") or 1
    before_us = step_time_us(program) / samples
    ways = [*_other_captures(spec, choices, device, budget, before_us)]
    ways += _rewritten(program, budget)
    if ranks > 1 and choices.get("train", "optimizer_state" in argument_texts(entry_function(program), ROLE)):
        ways += _shared_out(program, budget, ranks)
    return ways


def _other_captures(
    spec: "str | LoadedModel", choices: dict[str, Any], device: str, budget: MemoryBudget, before_us: float
) -> Iterator[Suggestion]:
    if not isinstance(spec, str) or is_program(spec):
        return
    for change, changed in _changes(spec, choices, device, budget):
        try:
            program = load_program(spec, changed, device=device)
        except UsageError:  # the model does not heed that option
            continue
        annotate(program, Target(device=device))
        after_us = step_time_us(program) / (changed.get("batch") or 1)
        yield _way(change, check_fit(program, budget), _ratio(after_us, before_us))


def _changes(
    spec: str, choices: dict[str, Any], device: str, budget: MemoryBudget
) -> Iterator[tuple[str, dict[str, Any]]]:
    if (choices.get("batch") or 1) > 1:
        found = largest_batch(lambda batch: load_costed(spec, {**choices, "batch": batch}, device), budget)
        if found.batch:
            yield f"--batch {found.batch}", {**choices, "batch": found.batch}
    if choices.get("dtype", "float32") == "float32" and "bf16" in budget.device.matrix_peak_flops_per_s:
        yield "--dtype bfloat16", {**choices, "dtype": "bfloat16"}
        if not choices.get("autocast"):
            yield "--autocast bfloat16", {**choices, "autocast": "bfloat16"}
    if choices.get("train") and choices.get("optimizer", "adamw") == "adamw":
        yield "--optimizer sgd", {**choices, "optimizer": "sgd"}


def _rewritten(program: ModuleOp, budget: MemoryBudget) -> Iterator[Suggestion]:
    """Suggestions of passes that keep live bytes within a budget."""
    before_us = step_time_us(program)
    if entry_function(program).sym_name.data != "step":
        return
    for rewrite in _REWRITES:
        try:
            made, allowed = _rewrite(program, rewrite, budget)
        except (UsageError, DeviceError) as error:
            why = f"{error.what}; {error.why}" if error.why else error.what
            yield Suggestion(rewrite.name, False, None, None, why)
        else:
            change = f"{rewrite.name}{{budget-bytes={allowed}}}"
            yield _way(change, check_fit(made, budget), _ratio(step_time_us(made), before_us))


def _rewrite(
    program: ModuleOp, rewrite: type[RecomputePass | OffloadPass], budget: MemoryBudget
) -> tuple[ModuleOp, int]:
    """The program after a pass, and the live bytes it was allowed, which leave room for gaps."""
    memory: Any = read_totals(program)["memory"]
    gaps_bytes = check_fit(program, budget).peak_reserved_bytes - memory["peak_bytes"]
    allowed = usable_bytes(budget) - gaps_bytes
    made = program
    for _ in range(_TRIES):
        made = program.clone()
        rewrite(budget_bytes=allowed).apply(make_context(), made)
        fit = check_fit(made, budget)
        if fit.fits:
            break
        allowed += min(fit.margin_bytes[0], 0)
    return made, allowed


def _shared_out(program: ModuleOp, budget: MemoryBudget, ranks: int) -> Iterator[Suggestion]:
    memory = budget.memory(program)
    step_us = step_time_us(program)
    for stage in _STAGES:
        plan = Zero(stage, ranks)
        time = None
        with suppress(DeviceError, ZeroDivisionError):  # of links or of the step nothing may be known
            time = 1 + plan.communication_s(memory, budget.device) * 1e6 / step_us
        fit = fit_of(plan.memory(memory), budget, unknown_ops(program))
        yield _way(f"ZeRO stage {stage} over {ranks} devices", fit, time)


def _ratio(after_us: float, before_us: float) -> float | None:
    """Ratio of two step times, None where the work of no op is known."""
    return after_us / before_us if before_us else None


def _way(change: str, fit: MemoryFit, time_per_sample: float | None) -> Suggestion:
    return Suggestion(change, fit.fits, fit.peak_reserved_bytes, time_per_sample)
