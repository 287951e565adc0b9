"""The execution of a program: its ops in the order in which they run, through every call."""

from collections.abc import Iterator
from typing import NamedTuple

from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.call_graph import CallGraph, callee_name


class Executed(NamedTuple):
    """One run of one op.

    Attributes:
        op: The op, which is neither a call nor a return.
        calls: The calls that lead to it.
        operands: The number of each operand; a value has one number each time that it is made.
        results: Likewise of each result.
    """

    op: Operation
    calls: tuple[CallOp, ...]
    operands: tuple[int, ...]
    results: tuple[int, ...]


def execution(graph: CallGraph) -> Iterator[Executed]:
    """Yield every op that one run of a program executes, in order; an op in a function once for each call."""
    return _Execution(graph).run(graph.entry, {}, ())


class _Execution:
    def __init__(self, graph: CallGraph) -> None:
        self._graph = graph
        self._count = 0
        self._returned: list[int] = []

    def run(
        self, function: FuncOp, known: dict[SSAValue, int], calls: tuple[CallOp, ...]
    ) -> Iterator[Executed]:
        """Execute a function whose arguments have the numbers `known`."""

        def number(value: SSAValue) -> int:
            if value not in known:
                known[value] = self._count = self._count + 1
            return known[value]

        for op in function.body.block.ops:
            operands = tuple([number(value) for value in op.operands])
            if isinstance(op, CallOp):
                callee = self._graph.functions[callee_name(op)]
                arguments: dict[SSAValue, int] = dict(zip(callee.body.block.args, operands, strict=True))
                yield from self.run(callee, arguments, (*calls, op))
                known |= zip(op.results, self._returned, strict=True)
            elif isinstance(op, ReturnOp):
                self._returned = list(operands)
            else:
                yield Executed(op, calls, operands, tuple([number(value) for value in op.results]))
