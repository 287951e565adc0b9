"""Executors of op pairs on this machine's CPU: op by op, or compiled by TorchInductor."""

# pyright: standard

from collections.abc import Callable
from operator import getitem
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule

from steelyard.hw.base.errors import ExecutionError
from steelyard.hw.base.units import MIB
from steelyard.runtime.detect_fusion.pair_timing import PARTS, Pair, Part
from steelyard.runtime.detect_fusion.test_ops import INPUT_SHAPES, OP_KINDS, Shape, shared_input
from steelyard.runtime.execute.inductor_kernels import FusedKernel, has_compiler

Executor = Literal["eager", "inductor"]
_Program = tuple[Shape, tuple[str, ...]]

_CALLS = 15
_LEAST_S = 1e-9
"""Lower bound of a time, against clock noise."""
_LARGEST_KEPT_BYTES = 31 * MIB
"""A little less than the largest threshold above which glibc maps memory anew for each block (mallopt(3))."""


class PairTimer:
    """Timer of parts of pairs; each program is built and compiled once.

    Raises:
        ExecutionError: TorchInductor finds no C++ compiler.
    """

    def __init__(self, executor: Executor) -> None:
        if executor == "inductor" and not has_compiler():
            raise ExecutionError(
                what="TorchInductor finds no C++ compiler",
                fix="install g++ or set CXX, or use --executor eager",
            )
        self._executor = executor
        self._calls: dict[_Program, Callable[[], object]] = {}
        # At first glibc maps larger blocks anew each time, and every page faults; the threshold rises to the
        # size of what is freed.
        torch.empty(_LARGEST_KEPT_BYTES, dtype=torch.uint8)

    def prepare(self, pair: Pair) -> None:
        """Build the programs of a pair and run each once."""
        for part in PARTS:
            self._call(*_program(pair, part))

    def __call__(self, pair: Pair, part: Part) -> float:
        """Return the shortest seconds of a part over some calls, less those of an empty call."""
        shape, names = _program(pair, part)
        with torch.no_grad():
            spent_s = _shortest_s(self._call(shape, names)) - _shortest_s(self._call(shape, ()))
        return max(spent_s, _LEAST_S)

    def _call(self, shape: Shape, names: tuple[str, ...]) -> Callable[[], object]:
        key = shape, names
        if key not in self._calls:
            graph_module, inputs = _build(shape, names)
            run = FusedKernel(graph_module) if self._executor == "inductor" else graph_module.forward
            self._calls[key] = lambda: run(*inputs)
            with torch.no_grad():
                run(*inputs)
        return self._calls[key]


def _program(pair: Pair, part: Part) -> _Program:
    given = shared_input(pair)
    assert given is not None, "such a pair is not tested"
    shape = INPUT_SHAPES[given]
    match part:
        case "first":
            return shape, (pair.first,)
        case "second":
            return _result_shape(shape, pair.first), (pair.second,)
        case "both":
            return shape, (pair.first, pair.second)


def _build(shape: Shape, names: tuple[str, ...]) -> tuple[GraphModule, list[Tensor]]:
    """Return a graph that runs ops one after the other, and its inputs."""
    graph, inputs, shapes = Graph(), [torch.rand(shape)], [shape]
    for name in names:
        shapes.append(_result_shape(shapes[-1], name))
        inputs += OP_KINDS[name].operands(shapes[-2])
    value, *placeholders = [graph.placeholder(f"x{index}") for index in range(len(inputs))]
    for name, given in zip(names, shapes, strict=False):
        kind = OP_KINDS[name]
        count = len(kind.operands(given))
        own, placeholders = placeholders[:count], placeholders[count:]
        value = graph.call_function(kind.op, kind.arguments(given, value, *own))
        if kind.several:
            value = graph.call_function(getitem, (value, 0))
    graph.output((value,))
    return GraphModule(torch.nn.Module(), graph), inputs


def _result_shape(shape: Shape, name: str) -> Shape:
    kind = OP_KINDS[name]
    with torch.device("meta"):
        result = kind.op(*kind.arguments(shape, torch.empty(shape), *kind.operands(shape)))
    return tuple((result[0] if kind.several else result).shape)


def _shortest_s(call: Callable[[], object]) -> float:
    times_s: list[float] = []
    for _ in range(_CALLS):
        start_s = perf_counter()
        result = call()
        times_s.append(perf_counter() - start_s)
        del result
    return min(times_s)
