"""Low-peak op orders by recursive minimum cuts at the op with the highest live bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steelyard.passes.reorder.memory_graph import MemoryGraph
from steelyard.passes.solvers.min_cut import UNCUTTABLE, FlowGraph

_LOOKED_AT = 500_000
"""Limit on the ops visited by all cuts of a search: seconds for the largest programs."""


@dataclass(frozen=True, slots=True)
class MemoryOrder:
    """An order of the ops.

    Attributes:
        ops: Each op once.
        peak_bytes: Its peak of live bytes.
        bound_bytes: A lower bound of the peak of any order.
    """

    ops: list[int]
    peak_bytes: int
    bound_bytes: int


def order_for_memory(graph: MemoryGraph) -> MemoryOrder:
    """Search for an order with a low peak; the existing order if no better one is found.

    Live at an op are the buffers made before it and used after it. The choice of the ops to run before it
    that minimizes these bytes is a minimum cut, which is also a lower bound for every order. The ops before
    and after it are two smaller problems; the one with the higher peak is next.
    """
    order = list(range(len(graph.before)))
    if not order:
        return MemoryOrder([], graph.start_bytes, graph.start_bytes)
    found = _search(graph)
    peak = max(graph.tops(found))
    bound = 0
    for op in (_worst(graph, found), _worst(graph, order), _hungriest(graph)):
        bound = max(bound, _least_top(graph, op))
        if bound == peak:
            break
    return MemoryOrder(found, peak, bound)


def _search(graph: MemoryGraph) -> list[int]:
    """Cut at the op with the highest live bytes until that no longer helps; the best order found."""
    order = best = list(range(len(graph.before)))
    best_peak = max(graph.tops(order))
    parts = {0: len(order)}  # ranges of ops that may still be reordered
    for _ in range(max(1, _LOOKED_AT // len(order))):
        worst = _worst(graph, order)
        at = order.index(worst)
        start = next((s for s, e in parts.items() if s <= at < e), None)
        if start is None:
            break
        end = parts.pop(start)
        before = graph.tops(order)[at]
        order = _cut(graph, order, start, end, at)
        tops, middle = graph.tops(order), order.index(worst)
        if max(tops) < best_peak:
            best, best_peak = order, max(tops)
        if tops[middle] >= before:
            break
        parts |= {s: e for s, e in ((start, middle), (middle + 1, end)) if s < e}
    return best


def _worst(graph: MemoryGraph, order: Sequence[int]) -> int:
    """The op with the most live bytes; of several the last, since earlier ones may only hold its inputs."""
    tops = graph.tops(order)
    return order[len(tops) - 1 - tops[::-1].index(max(tops))]


def _hungriest(graph: MemoryGraph) -> int:
    """The op that makes and uses the most bytes."""
    touched = list(graph.own_bytes)
    for buffer in graph.buffers:
        for user in buffer.users:
            touched[user] += buffer.bytes
    return touched.index(max(touched))


def _least_top(graph: MemoryGraph, op: int) -> int:
    """Live bytes at an op in the order that is best for it."""
    order = range(len(graph.before))
    cut = _cut(graph, order, 0, len(order), op)
    return graph.tops(cut)[cut.index(op)]


def _cut(graph: MemoryGraph, order: Sequence[int], start: int, end: int, at: int) -> list[int]:
    """Reorder a range so that live bytes at one of its ops are least."""
    part = order[start:end]
    inside, worst = set(part), order[at]
    early = _reached(worst, graph.before, inside)
    late = _reached(worst, graph.after, inside) | {worst}
    early |= _cheapest(graph, inside - early - late, {*order[:start], *early, -1})
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


def _cheapest(graph: MemoryGraph, free: set[int], early: set[int]) -> set[int]:
    """The ops, of those free to run on either side of the cut op, that should run before it."""
    flow = FlowGraph()
    node = {op: flow.add_node() for op in sorted(free)}
    for op in node:
        for each in graph.before[op] & free:
            flow.add_edge(node[op], node[each], UNCUTTABLE)
    for buffer in graph.buffers:
        made_early = buffer.maker in early
        used_late = buffer.stays or any(user not in early and user not in free for user in buffer.users)
        users = buffer.users & free
        if (
            not (made_early or buffer.maker in free)
            or not buffer.bytes
            or (made_early and (used_late or not users))
        ):
            continue
        start = 0 if made_early else node[buffer.maker]
        if used_late:
            flow.add_edge(start, 1, buffer.bytes)
        elif users:
            last = flow.add_node()
            flow.add_edge(start, last, buffer.bytes)
            for user in users:
                flow.add_edge(last, node[user], UNCUTTABLE)
    side = flow.source_side()
    return {op for op in free if node[op] in side}
