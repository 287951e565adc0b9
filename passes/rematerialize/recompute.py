"""The pass recompute: rematerialization of activations in the backward, as far as a budget of memory asks."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import read_target
from steelyard.passes.rematerialize.fit_budget import Budget


@dataclass(frozen=True)
class RecomputePass(ProgramPass):
    """Keep fewer activations for the backward and run the ops again that make the others.

    Reads `cost.work`, `cost.latency` and how storages live. Of the plans whose peak is within the budget it
    takes the one whose repeated ops take least: blocks of the model, equal ones solved once, get ways to
    recompute from an integer program, and the ways are allotted to blocks so that memory suffices at each;
    beside those stand the plans that keep all, that keep only what passes between blocks (full), that repeat
    attention alone (selective), and that keep least without a repeated product (min-cut). A remark gives
    time and peak of each.

    Ops run again right before the backward needs them first, and carry `recomputed`. Results of random ops
    and collectives are kept, and so is what was changed in place. The results are equal bit by bit: the same
    kernels run on the same values. Calls are inlined. The annotations that were there are made anew.

        steelyard-opt a.mlir -p 'annotate{device=cpu},recompute{budget=0.4}'

    Raises:
        UsageError: no plan is within the budget; the error says the least that would do.
        IRError: the program has no annotated latency, or its types cannot be read.
    """

    name = "recompute"
    requires = frozenset({"work", "latency"})
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    budget: float = 0.5
    """What activations may add to the peak of live bytes, as a share of what they add without the pass."""

    budget_bytes: int | None = None
    """Peak of all live bytes; goes before the share."""

    def transform(self, program: Analyses) -> None:
        """Rewrite the program of a module."""
        target = read_target(program.module)
        assert target, "a program with latencies has a target"
        Budget(self.name, self.budget, self.budget_bytes).fit(program, target)
