# pyright: standard
"""How long the ops of a program take that carry a mark, while all of it runs."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.emit_graph import emit_graph
from steelyard.runtime.fused import FusedKernels


def time_marked_s(module: ModuleOp, arguments: Sequence[torch.Tensor], mark: str) -> float:
    """Run a program once, op by op, and return the seconds of the ops with the attribute `mark`.

    As in `compile_program`, parameters, buffers and optimizer state are updated in place.

    Raises:
        ExecutionError: torch cannot run an op of it.
    """
    graph_module = GraphModule(torch.nn.Module(), emit_graph(entry_function(module), FusedKernels()))
    watch = _Stopwatch(graph_module, mark)
    with torch.no_grad():
        watch.run(*arguments)
    return watch.seconds


class _Stopwatch(Interpreter):
    def __init__(self, graph_module: GraphModule, mark: str) -> None:
        super().__init__(graph_module)
        self.seconds = 0.0
        self._mark = mark

    def run_node(self, n: Node) -> Any:
        """Run one node, on the clock if its op is marked."""
        op = n.meta.get("op")
        start = perf_counter()
        result = super().run_node(n)
        if isinstance(op, Operation) and self._mark in op.attributes:
            self.seconds += perf_counter() - start
        # What nobody uses would be held to the end, with the memory that it is a view of.
        return result if n.users or n.op == "output" else None
