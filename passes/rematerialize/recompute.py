"""The pass recompute: activation recomputation (rematerialization) under a memory budget."""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.passes.annotate.reannotate import read_annotations
from steelyard.passes.rematerialize.fit_budget import ActivationBudget


@dataclass(frozen=True)
class RecomputePass(ModulePass):
    """Save fewer activations for the backward and recompute the others.

    Reads `cost.work`, `cost.latency` and lifetimes of storages. Of the plans whose peak is within the budget
    it takes the one with the least recomputation time. Candidates: an integer program solves each distinct
    block of the model for several memory limits, and dynamic programming allots the solutions to the blocks.
    Baselines: save all (none), save only the inputs of blocks (full), recompute attention alone (selective),
    save least without recomputing a product (min-cut). A remark gives time and peak of each baseline.

    Ops are recomputed right before the backward needs them first, and carry `recomputed`. Results of random
    ops and collectives are saved, and so are tensors written in place. The results are equal bit by bit: the
    same kernels run on the same values. Calls are inlined. Existing annotations are renewed.

        steelyard-opt a.mlir -p 'annotate-cost,annotate-latency{device=cpu},recompute{budget=0.4}'

    Raises:
        UsageError: no plan is within the budget; the error states the smallest feasible one.
        IRError: the program has no annotated latency, or its types cannot be read.
    """

    name = "recompute"

    budget: float = 0.5
    """Bytes that activations may add to the peak, as a share of those they add without the pass."""

    budget_bytes: int | None = None
    """Limit of the peak of all live bytes; overrides the share."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the program of a module."""
        annotations = read_annotations(op, self.name)
        ActivationBudget(self.name, self.budget, self.budget_bytes).fit(ctx, op, annotations)
