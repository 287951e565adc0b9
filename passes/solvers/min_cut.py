"""Minimum cut of a directed graph, by Dinic's maximum flow."""

from collections import deque
from itertools import count

UNCUTTABLE = 1 << 62
"""The capacity of an edge that no cut may cross."""


class FlowGraph:
    """A directed graph with capacities; node 0 is the source and node 1 the sink.

    Dinic, Algorithm for solution of a problem of maximum flow in networks with power estimation, Soviet Math.
    Doklady 11, 1970.
    """

    def __init__(self) -> None:
        self._edges: list[list[int]] = [[], []]
        self._to: list[int] = []
        self._left: list[int] = []

    def add_node(self) -> int:
        """Add a node and return its number."""
        self._edges.append([])
        return len(self._edges) - 1

    def add_edge(self, start: int, end: int, capacity: int) -> None:
        """Add an edge; each edge and its reverse are neighbours in the lists."""
        for one, other, free in ((start, end, capacity), (end, start, 0)):
            self._edges[one].append(len(self._to))
            self._to.append(other)
            self._left.append(free)

    def source_side(self) -> set[int]:
        """The nodes on the source's side of a minimum cut; the smallest such set."""
        while 1 in (level := self._levels()):
            self._augment(level)
        return {*level}

    def _levels(self) -> dict[int, int]:
        """The BFS level of each node that is reachable in the residual graph."""
        level, queue = {0: 0}, deque([0])
        while queue:
            node = queue.popleft()
            for edge in self._edges[node]:
                end = self._to[edge]
                if self._left[edge] and end not in level:
                    level[end] = level[node] + 1
                    queue.append(end)
        return level

    def _augment(self, level: dict[int, int]) -> None:
        """Saturate all shortest augmenting paths (a blocking flow)."""
        tried = [0] * len(self._edges)
        path: list[int] = []
        node = 0
        for _ in count():
            if node == 1:
                pushed = min(self._left[edge] for edge in path)
                for edge in path:
                    self._left[edge] -= pushed
                    self._left[edge ^ 1] += pushed
                # go on from the first edge that is full
                full = next(i for i, edge in enumerate(path) if not self._left[edge])
                node = self._to[path[full] ^ 1]
                del path[full:]
                continue
            edge = self._next_edge(node, level, tried)
            if edge is not None:
                path.append(edge)
                node = self._to[edge]
            elif path:
                last = path.pop()
                node = self._to[last ^ 1]
                tried[node] += 1
            else:
                return

    def _next_edge(self, node: int, level: dict[int, int], tried: list[int]) -> int | None:
        edges = self._edges[node]
        while tried[node] < len(edges):
            edge = edges[tried[node]]
            if self._left[edge] and level.get(self._to[edge]) == level[node] + 1:
                return edge
            tried[node] += 1
        return None
