"""The plans that a pass chooses from; they do not depend on the budget."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

from steelyard.passes.rematerialize.activation_graph import ActivationGraph, Read
from steelyard.passes.rematerialize.allocate_budget import Option, allocate
from steelyard.passes.rematerialize.block_problems import Block, cut_blocks, passed_on, pose
from steelyard.passes.rematerialize.block_solutions import BlockProblem, Mode, find_modes, least_kept
from steelyard.passes.rematerialize.evaluate_plan import Choice, Player, Schedule

BASELINES = ("none", "full", "selective", "min-cut")
"""Plans that are there to compare with, and to be chosen where nothing beats them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of each storage, and what comes of it.

    Attributes:
        name: One of the baselines, or "allocated".
        choice: What stays, and what moves.
        cost_us: What the plan takes beside the program.
        peak_bytes: The most that is alive at once.
    """

    name: str
    choice: Choice
    cost_us: float
    peak_bytes: int


def make_plans(player: Player) -> list[Plan]:
    """Every plan of a program, played through."""
    return play_plans(player, candidates(player))


def play_plans(player: Player, choices: Iterable[tuple[str, Choice]]) -> list[Plan]:
    """Plans of choices with their names: time and peak are those of the program that each becomes."""
    plans: list[Plan] = []
    seen: dict[Choice, Schedule] = {}
    for name, choice in choices:
        complete = player.complete(choice)
        if complete in seen and name not in BASELINES:
            continue
        if complete not in seen:
            seen[complete] = player.play(complete)
        plans.append(Plan(name, complete, seen[complete].cost_us, seen[complete].peak_bytes))
    return plans


def cheapest(plans: list[Plan], budget_bytes: int) -> Plan | None:
    """The fastest plan whose peak is within a budget; of equally fast ones the one that moves least.

    Because the plans are the same for every budget, more memory never costs more time.
    """
    fitting = [plan for plan in plans if plan.peak_bytes <= budget_bytes]
    return min(
        fitting, key=lambda plan: (plan.cost_us, len(plan.choice.moved), plan.peak_bytes), default=None
    )


def candidates(player: Player) -> Iterator[tuple[str, Choice]]:
    """The choices that are worth playing through, and their names."""
    graph = player.graph
    ranges = cut_blocks(graph)
    borders = passed_on(graph, ranges)
    wanted: defaultdict[int, list[Read]] = defaultdict(list)
    for _, read in graph.backward_reads:
        if read not in wanted[read.maker]:
            wanted[read.maker].append(read)
    activations = frozenset(graph.activations)
    yield "none", Choice(activations)
    yield "full", Choice(borders)
    yield "selective", Choice(activations - _attention_weights(graph))
    blocks = [pose(graph, ops, borders, wanted, None) for ops in ranges]
    options = _options(blocks)
    yield "min-cut", Choice(frozenset().union(*(each[-1].choice.kept for each in options)))
    yield from (("allocated", choice) for choice in allocate(player, ranges, options))
    for several in range(2, isqrt(len(blocks)) + 2):
        yield "allocated", Choice(passed_on(graph, _joined(ranges, several)))
    if player.link:
        blocks = [pose(graph, ops, borders, wanted, player.link) for ops in ranges]
        yield from (("allocated", choice) for choice in allocate(player, ranges, _options(blocks)))


def _options(blocks: Sequence[Block]) -> list[list[Option]]:
    """The options of each block, the last of them the minimum cut; equal problems are solved once."""
    modes: dict[BlockProblem, list[Mode]] = {}
    for block in blocks:
        if block.problem not in modes:
            modes[block.problem] = [*find_modes(block.problem), least_kept(block.problem)]
    return [[_option(block, mode) for mode in modes[block.problem]] for block in blocks]


def _option(block: Block, mode: Mode) -> Option:
    kept, moved = (frozenset(block.storages[each] for each in group) for group in (mode.kept, mode.moved))
    return Option(Choice(kept, moved), mode.cost_us)


def _joined(ranges: list[range], several: int) -> list[range]:
    """Every `several` blocks as one, which keeps what comes in and makes all else again."""
    parts = [ranges[start : start + several] for start in range(0, len(ranges), several)]
    return [range(part[0].start, part[-1].stop) for part in parts]


def _attention_weights(graph: ActivationGraph) -> frozenset[int]:
    """Results of softmax and attention in the model, and of pointwise ops as large on the former (dropout).

    Selective recomputation as in Korthikanti et al., Reducing Activation Recomputation in Large Transformer
    Models (2022), section 5.
    """
    found = set[int]()
    for index in range(graph.turn):
        if graph.kinds[index] in ("softmax", "attention") and not graph.in_loss[index]:
            found |= {*graph.born[index]}
        elif graph.kinds[index] == "pointwise":
            sizes = {graph.storages[r.storage].bytes for r in graph.reads[index] if r.storage in found}
            found |= {storage for storage in graph.born[index] if graph.storages[storage].bytes in sizes}
    return frozenset(found)
