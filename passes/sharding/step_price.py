"""How long a step of a sharded program takes, and how much of that the collectives."""

from dataclasses import dataclass
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import OPTIONS, AnnotateLatencyPass


@dataclass(frozen=True, slots=True)
class StepTime:
    """Microseconds of a step on each rank: of all of it, and of the collectives in it."""

    total_us: float
    links_us: float

    def __str__(self) -> str:
        return f"{self.total_us:.4g} us a step, {self.links_us:.4g} us of it in collectives"


def annotate_alike(module: ModuleOp, device: str | None) -> AnnotateLatencyPass:
    """The pass that annotates a device's latencies in the context for which a program is annotated already.

    Without a device it is that of the annotations, or `cpu`.
    """
    annotated: Any = read_totals(module).get("latency", {})
    options: dict[str, Any] = {name: annotated[name] for name in OPTIONS if name in annotated}
    options["device"] = device or options.get("device", "cpu")
    return AnnotateLatencyPass(**options)


def price(ctx: Context, module: ModuleOp, latencies: AnnotateLatencyPass) -> StepTime:
    """Weigh a sharded program, which is annotated.

    Raises:
        DeviceError: The device is not known, lacks a rate, or nothing is known of its links.
    """
    AnnotateCostPass().apply(ctx, module)
    latencies.apply(ctx, module)
    total: Any = read_totals(module)["latency"]
    return StepTime(total["value_us"], total["us_by_limiter"].get("link", 0.0))
