"""The pass recompute: activation recomputation (rematerialization) under a memory budget."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import read_target
from steelyard.passes.rematerialize.fit_budget import ActivationBudget


@dataclass(frozen=True)
class RecomputePass(ProgramPass):
    """Save fewer activations for the backward and recompute the others.

    Reads `cost.work`, `cost.latency` and lifetimes of storages. Of the plans whose peak is within the budget
    it takes the one with the least recomputation time. Candidates: an integer program solves each distinct
    block of the model for several memory limits, and dynamic programming allots the solutions to the blocks.
    Baselines: save all (none), save only the inputs of blocks (full), recompute attention alone (selective),
    save least without recomputing a product (min-cut). A remark gives time and peak of each baseline.

    Ops are recomputed right before the backward needs them first, and carry `recomputed`. Results of random
    ops and collectives are saved, and so are tensors written in place. The results are equal bit by bit: the
    same kernels run on the same values. Calls are inlined. Existing annotations are renewed.

        steelyard-opt a.mlir -p 'annotate{device=cpu},recompute{budget=0.4}'

    Raises:
        UsageError: no plan is within the budget; the error states the smallest feasible one.
        IRError: the program has no annotated latency, or its types cannot be read.
    """

    name = "recompute"
    requires = frozenset({"work", "latency"})
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    budget: float = 0.5
    """Bytes that activations may add to the peak, as a share of those they add without the pass."""

    budget_bytes: int | None = None
    """Limit of the peak of all live bytes; overrides the share."""

    def transform(self, program: Analyses) -> None:
        """Rewrite the program of a module."""
        target = read_target(program.module)
        assert target, "a program with latencies has a target"
        ActivationBudget(self.name, self.budget, self.budget_bytes).fit(program, target)
