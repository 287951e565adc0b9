"""Fitting a program into a memory budget, shared by the passes recompute and offload."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.pass_infra.remarks import Remark, RemarkKind, emit
from steelyard.hw.base.errors import UsageError
from steelyard.passes.annotate.annotate import renew
from steelyard.passes.annotate.memory import workspace_for
from steelyard.passes.annotate.target import Target
from steelyard.passes.rematerialize.activation_graph import ActivationGraph, read_graph
from steelyard.passes.rematerialize.apply_plan import rewrite
from steelyard.passes.rematerialize.candidate_plans import (
    BASELINES,
    RematPlan,
    candidates,
    cheapest,
    evaluate_plans,
)
from steelyard.passes.rematerialize.evaluate_plan import PlanEvaluator
from steelyard.passes.rematerialize.offload_optimizer_state import HOST_STATE_PLANS, state_to_host
from steelyard.passes.rematerialize.offload_timetable import Link
from steelyard.passes.structure.inline import InlinePass

_PARTS = 1000
"""Resolution of memory shares in advice: a thousandth."""


@dataclass(frozen=True, slots=True)
class ActivationBudget:
    """Memory budget of a pass for activations.

    Attributes:
        wanted_by: The name of the pass.
        share: Bytes that activations may add to the peak, as a share of those they add before the pass.
        peak_bytes: Limit of the peak of all live bytes; overrides the share.
    """

    wanted_by: str
    share: float
    peak_bytes: int | None

    def fit(self, program: Analyses, target: Target, link: Link | None = None) -> None:
        """Rewrite a program by the fastest plan within the budget.

        Args:
            program: Annotated with work and latency.
            target: What it is annotated for.
            link: The way to the host; without it nothing moves there.

        Raises:
            UsageError: No plan is within the budget; the error states the smallest feasible one.
            IRError: Types cannot be read.
        """
        InlinePass().run_on(program)
        resident = PlanEvaluator(_read(program, target), link)
        # State is moved after the forward, so that a policy means the same in each program.
        policies = [*candidates(resident)]
        considered = [_Candidate(program, resident, evaluate_plans(resident, policies))]
        for made, size in _with_state_on_host(program, link):
            evaluator = PlanEvaluator(_read(made, target), link, resident.step_us)
            considered.append(_Candidate(made, evaluator, evaluate_plans(evaluator, policies), size))
        chosen, plan = self._choose(considered)
        plans, evaluator = considered[0].plans, chosen.evaluator
        for each in plans:
            if each.name in BASELINES:
                self._remark("analysis", each, f"{each.name} recomputation: {_price(each)}")
        graph, schedule = evaluator.graph, evaluator.evaluate(plan.policy)
        gone = frozenset(graph.activations) - plan.policy.saved - plan.policy.offloaded
        parts = [
            f"{len(gone)} activations of {graph.bytes_of(gone)} bytes are made again",
            f"{sum(map(len, schedule.recomputed.values()))} ops run again",
        ]
        if schedule.transfers:
            moved = graph.bytes_of(transfer.storage for transfer in schedule.transfers)
            parts.insert(0, f"{len(schedule.transfers)} activations of {moved} bytes go to the host")
        if chosen.state_bytes:
            parts.insert(0, f"optimizer state of {chosen.state_bytes} bytes lives on the host")
        self._remark("passed", plan, f"{', '.join(parts)}: {_price(plan)}, {plans[0].peak_bytes} before")
        rewrite(graph, plan.policy, schedule)
        if chosen.program is not program:
            _take_entry(program, chosen.program)

    def _choose(self, programs: list["_Candidate"]) -> tuple["_Candidate", RematPlan]:
        floor, before = programs[0].evaluator.floor_bytes(), programs[0].plans[0].peak_bytes
        budget = self.peak_bytes
        if budget is None:
            budget = floor + int(self.share * (before - floor))
        chosen = [(program, cheapest(program.plans, budget)) for program in programs]
        fitting = [(program, plan) for program, plan in chosen if plan is not None]
        if fitting:
            return min(fitting, key=lambda each: (each[1].cost_us, each[0].state_bytes))
        least = min(plan.peak_bytes for program in programs for plan in program.plans)
        # Rounded up, so that the advice is feasible.
        share = ceil((least - floor) / max(before - floor, 1) * _PARTS) / _PARTS
        # With state on the host the peak may be below that without activations, which is a share of 0.
        share = max(share, 0.0)
        raise UsageError(
            what=f"no plan keeps the peak within {budget} bytes",
            where=self.wanted_by,
            why=f"the leanest plan peaks at {least} bytes; without activations the peak would be {floor}",
            fix=f"give budget-bytes={least} or budget={share:g} at the least",
        )

    def _remark(self, kind: RemarkKind, plan: RematPlan, text: str) -> None:
        emit(Remark(self.wanted_by, kind, "program", "", text, -plan.cost_us))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A variant of the program with some optimizer state on the host, and its plans."""

    program: Analyses
    evaluator: PlanEvaluator
    plans: list[RematPlan]
    state_bytes: int = 0


def _with_state_on_host(program: Analyses, link: Link | None) -> Iterator[tuple[Analyses, int]]:
    """Variants of the program with state on the host, each with the bytes moved."""
    if link is None:
        return
    for state_plan in HOST_STATE_PLANS:
        made = Analyses(program.module.clone())
        if size := state_to_host(made.call_graph.entry, state_plan, link):
            made.invalidate()
            renew(made)
            yield made, size


def _take_entry(program: Analyses, other: Analyses) -> None:
    """Replace the entry of a program by that of another."""
    old, new = program.call_graph.entry, other.call_graph.entry
    new.detach()
    program.module.body.block.insert_op_before(new, old)
    old.detach()
    old.erase()


def _read(program: Analyses, target: Target) -> ActivationGraph:
    flat = program.storages[program.call_graph.entry.sym_name.data]
    return read_graph(flat, OpInfoCache(), workspace_for(target))


def _price(plan: RematPlan) -> str:
    return f"{plan.cost_us:.4g} us more, peak of {plan.peak_bytes} bytes"
