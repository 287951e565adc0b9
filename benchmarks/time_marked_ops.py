# pyright: standard
"""Timing of marked ops inside a whole program run."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.emit.fx import emit_graph
from steelyard.runtime.execute.inductor_kernels import FusedKernels


def times_marked_s(
    module: ModuleOp,
    arguments: Sequence[torch.Tensor],
    mark: str,
    before: Callable[[Operation], object] = lambda op: None,
) -> list[float]:
    """Run a program once, op by op, and return the seconds of each op with the attribute `mark`.

    As in `compile_program`, parameters, buffers and optimizer state are updated in place.

    Args:
        module: The program.
        arguments: In the order of its own.
        mark: Name of an attribute.
        before: Called with each marked op before it runs, outside its time.

    Raises:
        ExecutionError: torch cannot run an op of it.
    """
    graph_module = GraphModule(torch.nn.Module(), emit_graph(entry_function(module), FusedKernels()))
    watch = _Stopwatch(graph_module, mark, before)
    with torch.no_grad():
        watch.run(*arguments)
    return watch.times_s


class _Stopwatch(Interpreter):
    def __init__(self, graph_module: GraphModule, mark: str, before: Callable[[Operation], object]) -> None:
        super().__init__(graph_module)
        self.times_s = list[float]()
        self._mark = mark
        self._before = before
        self._marked: Operation | None = None

    def run_node(self, n: Node) -> Any:
        """Run one node; its op is timed if it is marked."""
        op = n.meta.get("op")
        self._marked = op if isinstance(op, Operation) and self._mark in op.attributes else None
        result = super().run_node(n)
        # An unused result would be held to the end, with the memory that it views.
        return result if n.users or n.op == "output" else None

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an op; the interpreter's own overhead, longer than a view, is not timed."""
        if self._marked is None:
            return super().call_function(target, args, kwargs)
        self._before(self._marked)
        start = perf_counter()
        result = super().call_function(target, args, kwargs)
        self.times_s.append(perf_counter() - start)
        return result
