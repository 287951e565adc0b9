"""The step time of a sharded program, and the part of it that collectives take."""

from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target


@dataclass(frozen=True, slots=True)
class StepTime:
    """Microseconds of a step on each rank: of all of it, and of the collectives in it."""

    total_us: float
    links_us: float

    def __str__(self) -> str:
        return f"{self.total_us:.4g} us a step, {self.links_us:.4g} us of it in collectives"


def step_time(module: ModuleOp, target: Target) -> StepTime:
    """Annotate a sharded program for a target and read off its step time.

    Raises:
        DeviceError: The device is not known, lacks a rate, or nothing is known of its links.
    """
    annotate(module, target)
    latency: Any = read_totals(module)["latency"]
    return StepTime(latency["value_us"], latency["us_by_limiter"].get("link", 0.0))
