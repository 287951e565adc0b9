"""Fitting a program into a memory budget, shared by the passes recompute and offload."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.storages import find_storages
from steelyard.compiler.pass_infra.remarks import Remark, RemarkKind, emit
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.reannotate import Annotations
from steelyard.passes.op_cost.workspace import no_workspace, workspace_of
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

    def fit(self, ctx: Context, module: ModuleOp, annotations: Annotations, link: Link | None = None) -> None:
        """Rewrite a program by the fastest plan within the budget, and reannotate it.

        Raises:
            UsageError: No plan is within the budget; the error states the smallest feasible one.
            IRError: Types cannot be read.
        """
        InlinePass().apply(ctx, module)
        resident = PlanEvaluator(_read(module, annotations), link)
        # State is moved after the forward, so that a policy means the same in each program.
        policies = [*candidates(resident)]
        programs = [_Program(module, resident, evaluate_plans(resident, policies))]
        for made, size in _with_state_on_host(ctx, module, annotations, link):
            evaluator = PlanEvaluator(_read(made, annotations), link, resident.step_us)
            programs.append(_Program(made, evaluator, evaluate_plans(evaluator, policies), size))
        program, plan = self._choose(programs)
        plans, evaluator = programs[0].plans, program.evaluator
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
        if program.state_bytes:
            parts.insert(0, f"optimizer state of {program.state_bytes} bytes lives on the host")
        self._remark("passed", plan, f"{', '.join(parts)}: {_price(plan)}, {plans[0].peak_bytes} before")
        rewrite(graph, plan.policy, schedule)
        if program.module is not module:
            _take_entry(module, program.module)
        annotations.renew(ctx, module)

    def _choose(self, programs: list["_Program"]) -> tuple["_Program", RematPlan]:
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
        raise UsageError(
            what=f"no plan keeps the peak within {budget} bytes",
            where=self.wanted_by,
            why=f"the leanest plan peaks at {least} bytes; without any activation it would be {floor}",
            fix=f"give budget-bytes={least} or budget={share:g} at the least",
        )

    def _remark(self, kind: RemarkKind, plan: RematPlan, text: str) -> None:
        emit(Remark(self.wanted_by, kind, "program", "", text, -plan.cost_us))


@dataclass(frozen=True, slots=True)
class _Program:
    """A variant of the program with some optimizer state on the host, and its plans."""

    module: ModuleOp
    evaluator: PlanEvaluator
    plans: list[RematPlan]
    state_bytes: int = 0


def _with_state_on_host(
    ctx: Context, module: ModuleOp, annotations: Annotations, link: Link | None
) -> Iterator[tuple[ModuleOp, int]]:
    """Variants of the program with state on the host, each with the bytes moved."""
    if link is None:
        return
    for state_plan in HOST_STATE_PLANS:
        made = module.clone()
        if size := state_to_host(call_graph(made).entry, state_plan, link):
            AnnotateCostPass().apply(ctx, made)
            annotations.latency.apply(ctx, made)
            yield made, size


def _take_entry(module: ModuleOp, other: ModuleOp) -> None:
    """Replace the program of a module by that of another."""
    old, new = call_graph(module).entry, call_graph(other).entry
    new.detach()
    module.body.block.insert_op_before(new, old)
    old.detach()
    old.erase()


def _read(module: ModuleOp, annotations: Annotations) -> ActivationGraph:
    entry = call_graph(module).entry.sym_name.data
    memory = annotations.memory
    device, threads = (memory.device, memory.threads) if memory else (annotations.latency.device, None)
    workspace = workspace_of(load_device(device), threads) if device else no_workspace
    return read_graph(find_storages(call_graph(module))[entry], OpInfoCache(), workspace)


def _price(plan: RematPlan) -> str:
    return f"{plan.cost_us:.4g} us more, peak of {plan.peak_bytes} bytes"
