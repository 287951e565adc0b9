"""The annotations of a program, made anew after it was rewritten."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import IRError
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import OPTIONS, AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a program was annotated with.

    Attributes:
        latency: The pass that wrote its latencies.
        memory: The pass that wrote its live bytes, None where none did.
    """

    latency: AnnotateLatencyPass
    memory: AnnotateMemoryPass | None

    def renew(self, ctx: Context, module: ModuleOp) -> None:
        """Annotate a program as it was before."""
        AnnotateCostPass().apply(ctx, module)
        self.latency.apply(ctx, module)
        if self.memory:
            self.memory.apply(ctx, module)


def read_annotations(module: ModuleOp, wanted_by: str) -> Annotations:
    """How a program is annotated, from its totals.

    Args:
        module: The program.
        wanted_by: The pass that needs the latencies.

    Raises:
        IRError: it has no latencies.
    """
    totals = read_totals(module)
    annotated = totals.get("latency")
    if not isinstance(annotated, Mapping):
        raise IRError(
            what=f"the program has no annotated latency, by which {wanted_by} decides",
            fix="run annotate-cost and annotate-latency{device=..} before",
        )
    options: dict[str, Any] = {name: annotated[name] for name in OPTIONS if name in annotated}
    return Annotations(AnnotateLatencyPass(**options), _memory(totals.get("memory")))


def _memory(annotated: object) -> AnnotateMemoryPass | None:
    if not isinstance(annotated, Mapping):
        return None
    options = cast("Mapping[str, Any]", annotated)
    return AnnotateMemoryPass(options.get("device"), options.get("threads"))
