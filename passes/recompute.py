"""The pass recompute: what the backward needs is made again instead of kept, as far as a budget asks."""

from dataclasses import dataclass
from math import ceil

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.compiler.call_graph import call_graph
from steelyard.compiler.op_call import CallReader
from steelyard.compiler.storage import find_storages
from steelyard.hw.errors import UsageError
from steelyard.hw.registry import load_device
from steelyard.passes.activations.graph import ActivationGraph, read_graph
from steelyard.passes.activations.plans import BASELINES, Plan, cheapest, make_plans
from steelyard.passes.activations.rewrite import rewrite
from steelyard.passes.activations.schedule import Player
from steelyard.passes.annotations import Annotations, read_annotations
from steelyard.passes.inline import InlinePass
from steelyard.passes.remark import Remark, RemarkKind, emit
from steelyard.passes.workspace import no_workspace, workspace_of

_PARTS = 1000
"""Shares of memory are told to the thousandth."""


@dataclass(frozen=True)
class RecomputePass(ModulePass):
    """Keep fewer activations for the backward and run the ops again that make the others.

    Reads `cost.work`, `cost.latency` and how storages live. Of the plans whose peak is within the budget it
    takes the one whose repeated ops take least: blocks of the model, equal ones solved once, get ways to
    recompute from an integer program, and the ways are allotted to blocks so that memory suffices at each;
    beside those stand the plans that keep all, that keep only what passes between blocks (full), that repeat
    attention alone (selective), and that keep least without a repeated product (min-cut). A remark gives
    time and peak of each.

    Ops run again right before the backward needs them first, and carry `recomputed`. Random ops, collectives,
    in-place ops and what they changed are kept. The results are equal bit by bit: the same kernels run on the
    same values. Calls are inlined. The annotations that were there are made anew.

        steelyard-opt a.mlir -p 'annotate-cost,annotate-latency{device=cpu},recompute{budget=0.4}'

    Raises:
        UsageError: no plan is within the budget; the error says the least that would do.
        IRError: the program has no annotated latency, or its types cannot be read.
    """

    name = "recompute"

    budget: float = 0.5
    """What activations may add to the peak of live bytes, as a share of what they add without the pass."""

    budget_bytes: int | None = None
    """Peak of all live bytes; goes before the share."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the program of a module."""
        annotations = read_annotations(op, self.name)
        InlinePass().apply(ctx, op)
        graph = _read(op, annotations)
        player = Player(graph)
        plans = make_plans(player)
        floor = player.floor_bytes()
        before = next(plan for plan in plans if plan.name == "none")
        budget = self.budget_bytes
        if budget is None:
            budget = floor + int(self.budget * (before.peak_bytes - floor))
        plan = cheapest(plans, budget)
        if plan is None:
            raise _refusal(budget, floor, before.peak_bytes, min(each.peak_bytes for each in plans))
        for each in plans:
            if each.name in BASELINES:
                self._remark("analysis", each, f"{each.name} recomputation: {_price(each)}")
        schedule = player.play(plan.choice)
        released = frozenset(graph.activations) - plan.choice.kept
        ops = sum(map(len, schedule.again.values()))
        text = (
            f"{len(released)} activations of {graph.bytes_of(released)} bytes go after the forward, "
            f"{ops} ops run again: {_price(plan)}, {before.peak_bytes} before, budget {budget}"
        )
        self._remark("passed", plan, text)
        rewrite(graph, plan.choice, schedule)
        annotations.renew(ctx, op)

    def _remark(self, kind: RemarkKind, plan: Plan, text: str) -> None:
        emit(Remark(self.name, kind, "program", "", text, -plan.cost_us))


def _read(module: ModuleOp, annotations: Annotations) -> ActivationGraph:
    entry = call_graph(module).entry.sym_name.data
    memory = annotations.memory
    device, threads = (memory.device, memory.threads) if memory else (annotations.latency.device, None)
    workspace = workspace_of(load_device(device), threads) if device else no_workspace
    return read_graph(find_storages(call_graph(module))[entry], CallReader(), workspace)


def _price(plan: Plan) -> str:
    return f"{plan.cost_us:.4g} us more, peak of {plan.peak_bytes} bytes"


def _refusal(budget: int, floor: int, before: int, least: int) -> UsageError:
    # Rounded up, so that what is advised is within reach.
    share = ceil((least - floor) / max(before - floor, 1) * _PARTS) / _PARTS
    return UsageError(
        what=f"no plan of recomputation keeps the peak within {budget} bytes",
        where="recompute",
        why=f"the leanest plan peaks at {least} bytes, {floor} of them no activations",
        fix=f"give budget-bytes={least} or budget={share:g} at the least",
    )
