"""The pass annotate-cost: FLOPs and bytes of each op."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.work import annotate_work


@dataclass(frozen=True)
class AnnotateCostPass(ProgramPass):
    """Annotate each op with its work: FLOPs by unit and bytes.

    Reads the types and properties of the ops, and `cost.spaces` of those that no rule knows. Writes
    `cost.work` on each, `#cost.unknown` where neither says the work (a remark for each such name), and the
    entry `work` of the module's `cost.totals`: FLOPs by unit and by phase, bytes, and the count of known and
    unknown ops, over all calls.

        %2 = aten.mm(%0, %1) : tensor<4x8xf32>
        %2 = aten.mm(%0, %1) {cost.work = #cost.work<contraction f32, flops = [512, 0, 0], ...>} : ...

    Raises:
        IRError: with `strict`, an op is unknown; an op does not fit its rule.
    """

    name = "annotate-cost"
    ensures = frozenset({"work"})
    invalidates = frozenset({"memory", "latency"})

    strict: bool = False
    """Whether an unknown op is an error."""

    print_work: bool = False
    """Whether to write the iteration spaces of each op with its indexing maps, as `cost.spaces`."""

    def transform(self, program: Analyses) -> None:
        """Annotate the ops of a module."""
        annotate_work(program, strict=self.strict, spaces=self.print_work)
