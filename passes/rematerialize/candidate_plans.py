"""Candidate plans of a program, independent of the budget."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

from steelyard.passes.rematerialize.activation_graph import ActivationGraph, Read
from steelyard.passes.rematerialize.allocate_budget import BlockOption, allocate
from steelyard.passes.rematerialize.block_problems import (
    RematBlock,
    block_problem,
    border_activations,
    partition_forward,
)
from steelyard.passes.rematerialize.block_solutions import (
    BlockProblem,
    BlockSolution,
    least_saved,
    solve_block,
)
from steelyard.passes.rematerialize.evaluate_plan import PlanEvaluator, RematPolicy, RematSchedule

BASELINES = ("none", "full", "selective", "min-cut")
"""Baseline plans, for comparison, and chosen where no other plan is better."""


@dataclass(frozen=True, slots=True)
class RematPlan:
    """A named remat policy with its cost.

    Attributes:
        name: One of the baselines, or "allocated".
        policy: The saved and the offloaded storages.
        cost_us: Extra time relative to the program.
        peak_bytes: Peak of live bytes.
    """

    name: str
    policy: RematPolicy
    cost_us: float
    peak_bytes: int


def make_plans(evaluator: PlanEvaluator) -> list[RematPlan]:
    """All candidate plans of a program, evaluated."""
    return evaluate_plans(evaluator, candidates(evaluator))


def evaluate_plans(evaluator: PlanEvaluator, policies: Iterable[tuple[str, RematPolicy]]) -> list[RematPlan]:
    """Evaluate named policies; duplicates are dropped."""
    plans: list[RematPlan] = []
    seen: dict[RematPolicy, RematSchedule] = {}
    for name, policy in policies:
        complete = evaluator.complete(policy)
        if complete in seen and name not in BASELINES:
            continue
        if complete not in seen:
            seen[complete] = evaluator.evaluate(complete)
        plans.append(RematPlan(name, complete, seen[complete].cost_us, seen[complete].peak_bytes))
    return plans


def cheapest(plans: list[RematPlan], budget_bytes: int) -> RematPlan | None:
    """The fastest plan whose peak is within a budget; of equally fast ones the one that offloads least.

    The plans are the same for every budget, so more memory never costs more time.
    """
    fitting = [plan for plan in plans if plan.peak_bytes <= budget_bytes]
    return min(
        fitting, key=lambda plan: (plan.cost_us, len(plan.policy.offloaded), plan.peak_bytes), default=None
    )


def candidates(evaluator: PlanEvaluator) -> Iterator[tuple[str, RematPolicy]]:
    """The candidate policies, each with its name."""
    graph = evaluator.graph
    ranges = partition_forward(graph)
    borders = border_activations(graph, ranges)
    wanted: defaultdict[int, list[Read]] = defaultdict(list)
    for _, read in graph.backward_reads:
        if read not in wanted[read.maker]:
            wanted[read.maker].append(read)
    activations = frozenset(graph.activations)
    yield "none", RematPolicy(activations)
    yield "full", RematPolicy(borders)
    yield "selective", RematPolicy(activations - _attention_weights(graph))
    blocks = [block_problem(graph, ops, borders, wanted, None) for ops in ranges]
    options = _options(blocks)
    yield "min-cut", RematPolicy(frozenset().union(*(each[-1].policy.saved for each in options)))
    yield from (("allocated", policy) for policy in allocate(evaluator, ranges, options))
    for several in range(2, isqrt(len(blocks)) + 2):
        yield "allocated", RematPolicy(border_activations(graph, _joined(ranges, several)))
    if evaluator.link:
        blocks = [block_problem(graph, ops, borders, wanted, evaluator.link) for ops in ranges]
        yield from (("allocated", policy) for policy in allocate(evaluator, ranges, _options(blocks)))


def _options(blocks: Sequence[RematBlock]) -> list[list[BlockOption]]:
    """The options of each block, the last of them the minimum cut; equal problems are solved once."""
    solutions: dict[BlockProblem, list[BlockSolution]] = {}
    for block in blocks:
        if block.problem not in solutions:
            solutions[block.problem] = [*solve_block(block.problem), least_saved(block.problem)]
    return [[_option(block, solution) for solution in solutions[block.problem]] for block in blocks]


def _option(block: RematBlock, solution: BlockSolution) -> BlockOption:
    saved, offloaded = (
        frozenset(block.storages[each] for each in group) for group in (solution.saved, solution.offloaded)
    )
    return BlockOption(RematPolicy(saved, offloaded), solution.cost_us)


def _joined(ranges: list[range], several: int) -> list[range]:
    """Merge each `several` consecutive blocks into one."""
    parts = [ranges[start : start + several] for start in range(0, len(ranges), several)]
    return [range(part[0].start, part[-1].stop) for part in parts]


def _attention_weights(graph: ActivationGraph) -> frozenset[int]:
    """Results of softmax and attention in the model, and of pointwise ops as large on the former (dropout).

    Selective recomputation as in Korthikanti et al., Reducing Activation Recomputation in Large Transformer
    Models (2022), section 5.
    """
    found = set[int]()
    for index in range(graph.first_backward_op):
        if graph.kinds[index] in ("softmax", "attention") and not graph.in_loss[index]:
            found |= {*graph.born[index]}
        elif graph.kinds[index] == "pointwise":
            sizes = {graph.storages[r.storage].bytes for r in graph.reads[index] if r.storage in found}
            found |= {storage for storage in graph.born[index] if graph.storages[storage].bytes in sizes}
    return frozenset(found)
