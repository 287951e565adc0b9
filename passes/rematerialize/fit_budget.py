"""A program made to fit a budget of memory: what the passes recompute and offload share."""

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
from steelyard.passes.rematerialize.candidate_plans import BASELINES, Plan, candidates, cheapest, play_plans
from steelyard.passes.rematerialize.evaluate_plan import Player
from steelyard.passes.rematerialize.offload_optimizer_state import PLACEMENTS, state_to_host
from steelyard.passes.rematerialize.offload_timetable import Link
from steelyard.passes.structure.inline import InlinePass

_PARTS = 1000
"""Shares of memory are told to the thousandth."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much memory a pass may leave in use.

    Attributes:
        wanted_by: The name of the pass.
        share: What activations may add to the peak, as a share of what they add before.
        peak_bytes: The peak of all live bytes; where given, the share does not count.
    """

    wanted_by: str
    share: float
    peak_bytes: int | None

    def fit(self, ctx: Context, module: ModuleOp, annotations: Annotations, link: Link | None = None) -> None:
        """Rewrite a program by the fastest plan within the budget, and annotate it anew.

        Raises:
            UsageError: No plan is within the budget; the error says the least that would do.
            IRError: Types cannot be read.
        """
        InlinePass().apply(ctx, module)
        stays = Player(_read(module, annotations), link)
        # What moves state comes after the forward, so that a choice means the same in each program.
        choices = [*candidates(stays)]
        programs = [_Program(module, stays, play_plans(stays, choices))]
        for made, size in _with_state_on_host(ctx, module, annotations, link):
            player = Player(_read(made, annotations), link, stays.step_us)
            programs.append(_Program(made, player, play_plans(player, choices), size))
        program, plan = self._choose(programs)
        plans, player = programs[0].plans, program.player
        for each in plans:
            if each.name in BASELINES:
                self._remark("analysis", each, f"{each.name} recomputation: {_price(each)}")
        graph, schedule = player.graph, player.play(plan.choice)
        gone = frozenset(graph.activations) - plan.choice.kept - plan.choice.moved
        parts = [
            f"{len(gone)} activations of {graph.bytes_of(gone)} bytes are made again",
            f"{sum(map(len, schedule.again.values()))} ops run again",
        ]
        if schedule.moves:
            moved = graph.bytes_of(move.storage for move in schedule.moves)
            parts.insert(0, f"{len(schedule.moves)} activations of {moved} bytes go to the host")
        if program.state_bytes:
            parts.insert(0, f"optimizer state of {program.state_bytes} bytes lives on the host")
        self._remark("passed", plan, f"{', '.join(parts)}: {_price(plan)}, {plans[0].peak_bytes} before")
        rewrite(graph, plan.choice, schedule)
        if program.module is not module:
            _take_entry(module, program.module)
        annotations.renew(ctx, module)

    def _choose(self, programs: list["_Program"]) -> tuple["_Program", Plan]:
        floor, before = programs[0].player.floor_bytes(), programs[0].plans[0].peak_bytes
        budget = self.peak_bytes
        if budget is None:
            budget = floor + int(self.share * (before - floor))
        chosen = [(program, cheapest(program.plans, budget)) for program in programs]
        fitting = [(program, plan) for program, plan in chosen if plan is not None]
        if fitting:
            return min(fitting, key=lambda each: (each[1].cost_us, each[0].state_bytes))
        least = min(plan.peak_bytes for program in programs for plan in program.plans)
        # Rounded up, so that what is advised is within reach.
        share = ceil((least - floor) / max(before - floor, 1) * _PARTS) / _PARTS
        raise UsageError(
            what=f"no plan keeps the peak within {budget} bytes",
            where=self.wanted_by,
            why=f"the leanest plan peaks at {least} bytes; without any activation it would be {floor}",
            fix=f"give budget-bytes={least} or budget={share:g} at the least",
        )

    def _remark(self, kind: RemarkKind, plan: Plan, text: str) -> None:
        emit(Remark(self.wanted_by, kind, "program", "", text, -plan.cost_us))


@dataclass(frozen=True, slots=True)
class _Program:
    """The program with some state on the host, and the plans for its activations."""

    module: ModuleOp
    player: Player
    plans: list[Plan]
    state_bytes: int = 0


def _with_state_on_host(
    ctx: Context, module: ModuleOp, annotations: Annotations, link: Link | None
) -> Iterator[tuple[ModuleOp, int]]:
    """The program with more and more state on the host, and how many bytes of it."""
    if link is None:
        return
    for placement in PLACEMENTS:
        made = module.clone()
        if size := state_to_host(call_graph(made).entry, placement, link):
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


def _price(plan: Plan) -> str:
    return f"{plan.cost_us:.4g} us more, peak of {plan.peak_bytes} bytes"
