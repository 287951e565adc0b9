"""A program made to fit a budget of memory: what the passes recompute and offload share."""

from dataclasses import dataclass
from math import ceil

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.call_graph import call_graph
from steelyard.compiler.op_call import CallReader
from steelyard.compiler.storage import find_storages
from steelyard.hw.errors import UsageError
from steelyard.hw.registry import load_device
from steelyard.passes.activations.graph import ActivationGraph, read_graph
from steelyard.passes.activations.moves import Link
from steelyard.passes.activations.plans import BASELINES, Plan, cheapest, make_plans
from steelyard.passes.activations.rewrite import rewrite
from steelyard.passes.activations.schedule import Player
from steelyard.passes.annotations import Annotations
from steelyard.passes.inline import InlinePass
from steelyard.passes.remark import Remark, RemarkKind, emit
from steelyard.passes.workspace import no_workspace, workspace_of

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
        player = Player(_read(module, annotations), link)
        plans = make_plans(player)
        plan = self._choose(player, plans)
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
        self._remark("passed", plan, f"{', '.join(parts)}: {_price(plan)}, {plans[0].peak_bytes} before")
        rewrite(graph, plan.choice, schedule)
        annotations.renew(ctx, module)

    def _choose(self, player: Player, plans: list[Plan]) -> Plan:
        floor, before = player.floor_bytes(), plans[0].peak_bytes
        budget = self.peak_bytes
        if budget is None:
            budget = floor + int(self.share * (before - floor))
        plan = cheapest(plans, budget)
        if plan is not None:
            return plan
        least = min(each.peak_bytes for each in plans)
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


def _read(module: ModuleOp, annotations: Annotations) -> ActivationGraph:
    entry = call_graph(module).entry.sym_name.data
    memory = annotations.memory
    device, threads = (memory.device, memory.threads) if memory else (annotations.latency.device, None)
    workspace = workspace_of(load_device(device), threads) if device else no_workspace
    return read_graph(find_storages(call_graph(module))[entry], CallReader(), workspace)


def _price(plan: Plan) -> str:
    return f"{plan.cost_us:.4g} us more, peak of {plan.peak_bytes} bytes"
