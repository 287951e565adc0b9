"""Orders of a memory graph with a low peak: at the worst op, run before it exactly what leaves least alive."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from steelyard.passes.memory_graph import MemoryGraph
from steelyard.passes.min_cut import UNCUTTABLE, FlowGraph

_RELUCTANCE = (0.0, 1 / 16, 1 / 4)
_LOOKED_AT = 500_000


@dataclass(frozen=True, slots=True)
class MemoryOrder:
    """An order of the ops.

    Attributes:
        ops: Each op once.
        peak_bytes: The most that is alive in it.
        bound_bytes: What no order goes below, as far as that was found out.
    """

    ops: list[int]
    peak_bytes: int
    bound_bytes: int


def order_for_memory(graph: MemoryGraph) -> MemoryOrder:
    """Look for an order with a low peak; the order that there is, where none is found.

    While the worst op runs, that is alive which ops before it made and ops after it need. Which ops come
    before it, but for those that must, is a minimum cut; so it is known what this op has alive in the best
    order of all. The ops before and those after are two smaller questions, of which the worse is next. What
    little a cut gains may cost more elsewhere, so that other searches move ops less readily.
    """
    order = list(range(len(graph.before)))
    best = MemoryOrder(order, max(graph.tops(order), default=0), 0)
    for reluctance in _RELUCTANCE:
        found = _search(graph, reluctance)
        tops = graph.tops(found)
        if (peak := max(tops, default=0)) < best.peak_bytes:
            best = replace(best, ops=found, peak_bytes=peak)
        best = replace(best, bound_bytes=max(best.bound_bytes, _bound(graph, best.ops)))
        if best.peak_bytes <= best.bound_bytes:
            break
    return best


def _search(graph: MemoryGraph, reluctance: float) -> list[int]:
    """Cut at the worst op until that does not help it; the best order on the way."""
    order = best = list(range(len(graph.before)))
    best_peak = max(graph.tops(order), default=0)
    parts = {0: len(order)}  # from where to where ops may still change places
    for _ in range(_LOOKED_AT // max(1, len(order))):
        tops = graph.tops(order)
        peak = max(tops, default=0)
        if peak < best_peak:
            best, best_peak = order, peak
        at = _last(tops, peak)
        start = next((s for s, e in parts.items() if s <= at < e), None)
        if start is None:
            break
        end = parts.pop(start)
        worst = order[at]
        order = _cut(graph, order, start, end, at, reluctance)
        middle = order.index(worst)
        if graph.tops(order)[middle] >= peak:
            break
        parts |= {s: e for s, e in ((start, middle), (middle + 1, end)) if s < e}
    return best


def _bound(graph: MemoryGraph, order: list[int]) -> int:
    """What the worst op of an order has alive in any order."""
    if not order:
        return 0
    tops = graph.tops(order)
    at = _last(tops, max(tops))
    cut = _cut(graph, order, 0, len(order), at, 0.0)
    return graph.tops(cut)[cut.index(order[at])]


def _last(tops: list[int], peak: int) -> int:
    # Of several ops with the same bytes alive, those after the first only keep what it made.
    return len(tops) - 1 - tops[::-1].index(peak)


def _cut(graph: MemoryGraph, order: Sequence[int], start: int, end: int, at: int, reluctance: float) -> list[int]:
    """The order in which those of a part run before one of its ops with which least is alive at it."""
    part = order[start:end]
    inside, worst = set(part), order[at]
    early = _reached(worst, graph.before, inside)
    late = _reached(worst, graph.after, inside) | {worst}
    now = {op for op in order[start:at] if op not in early}
    chosen = _cheapest(graph, inside - early - late, {*order[:start], *early, -1}, now, reluctance)
    early |= chosen
    first = [op for op in part if op in early]
    rest = [op for op in part if op not in early and op != worst]
    return [*order[:start], *first, worst, *rest, *order[end:]]


def _reached(op: int, edges: Sequence[Iterable[int]], inside: set[int]) -> set[int]:
    found: set[int] = set()
    pending = [op]
    while pending:
        new = {each for each in edges[pending.pop()] if each in inside} - found
        found |= new
        pending.extend(new)
    return found


def _cheapest(graph: MemoryGraph, free: set[int], early: set[int], now: set[int], reluctance: float) -> set[int]:
    """Of the ops that may run before or after the worst, those that should run before it.

    To move one costs a part of what it makes; `now` are those that run before it so far.
    """
    flow = FlowGraph()
    node = {op: flow.add_node() for op in sorted(free)}
    for op in node:
        for each in graph.before[op] & free:
            flow.add_edge(node[op], node[each], UNCUTTABLE)
        if toll := int(reluctance * graph.own_bytes[op]):
            flow.add_edge(*((0, node[op]) if op in now else (node[op], 1)), toll)
    for buffer in graph.buffers:
        made_early = buffer.maker in early
        used_late = buffer.stays or any(user not in early and user not in free for user in buffer.users)
        users = buffer.users & free
        if not (made_early or buffer.maker in free) or not buffer.bytes or (made_early and (used_late or not users)):
            continue
        start = 0 if made_early else node[buffer.maker]
        if used_late:
            flow.add_edge(start, 1, buffer.bytes)
        elif users:
            kept = flow.add_node()
            flow.add_edge(start, kept, buffer.bytes)
            for user in users:
                flow.add_edge(kept, node[user], UNCUTTABLE)
    side = flow.source_side()
    return {op for op in free if node[op] in side}
