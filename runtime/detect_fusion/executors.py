"""Running parts of a pair, eagerly or compiled by TorchInductor, on this machine's CPU."""

# pyright: standard

from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from steelyard.runtime.allocator import keep_freed_memory
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from steelyard.hw.errors import ExecutionError
from steelyard.runtime.detect_fusion.kinds import INPUT_SHAPES, OP_KINDS, Shape, Stage, shared_input
from steelyard.runtime.detect_fusion.rules import Pair, Part
from steelyard.runtime.fused import has_compiler
from steelyard.runtime.microbench import typical_s

Executor = Literal["eager", "inductor"]
Outputs = tuple[Tensor, ...]
_Key = tuple[Shape, tuple[str, ...], int]

_BUDGET_S = 0.02


class PairTimer:
    """Times parts of pairs, each compiled once.

    Raises:
        ExecutionError: Inductor finds no C++ compiler.
    """

    def __init__(self, executor: Executor) -> None:
        if executor == "inductor" and not has_compiler():
            raise ExecutionError(
                what="TorchInductor finds no C++ compiler",
                fix="install g++ or set CXX, or use --executor eager",
            )
        self._executor = executor
        self._calls: dict[_Key, Callable[[], object]] = {}

    def __call__(self, pair: Pair, part: Part) -> float:
        """Return the seconds of a part, without those of a program that returns its input."""
        given = shared_input(pair.producer, pair.consumer)
        assert given is not None, "such a pair is not tested"
        shape = INPUT_SHAPES[given]
        if part == "consumer":
            shape = _output_shape(pair.producer, shape)
        names = {"producer": (pair.producer,), "consumer": (pair.consumer,)}.get(
            part, (pair.producer, pair.consumer)
        )
        readers = 1 if part == "producer" else pair.readers
        keep_freed_memory()
        with torch.no_grad():
            return self._time_s(shape, names, readers) - self._time_s(shape, (), 1)

    def _time_s(self, shape: Shape, names: tuple[str, ...], readers: int) -> float:
        key = shape, names, readers
        if key not in self._calls:
            self._calls[key] = self._prepare(*key)
        return typical_s(self._calls[key], budget_s=_BUDGET_S)

    def _prepare(self, shape: Shape, names: tuple[str, ...], readers: int) -> Callable[[], object]:
        program, inputs = _program(shape, names, readers)
        if self._executor == "eager":
            return lambda: program(*inputs)
        compiled = cast(
            "Callable[..., Any]", torch._inductor.compile(make_fx(program)(*inputs), list(inputs))
        )
        return lambda: compiled(*inputs)


def _program(shape: Shape, names: tuple[str, ...], readers: int) -> tuple[Callable[..., Outputs], Outputs]:
    """Return a function that runs ops one after the other, and its inputs.

    With two readers, what the last op reads goes into an addition as well.
    """
    start = torch.rand(shape)
    stages: list[Stage] = []
    made = start
    read = start
    for name in names:
        read = made
        stage = OP_KINDS[name].make(tuple(read.shape))
        made = stage.run(read, *stage.operands)
        stages.append(stage)
    others = tuple(torch.rand_like(read) for _ in range(readers - 1))
    counts = [len(stage.operands) for stage in stages]

    def run(x: Tensor, *operands: Tensor) -> Outputs:
        rest = operands
        before = x
        for stage, count in zip(stages, counts, strict=True):
            before, x = x, stage.run(x, *rest[:count])
            rest = rest[count:]
        return (x, *(before + other for other in rest))

    return run, (start, *(operand for stage in stages for operand in stage.operands), *others)


def _output_shape(name: str, shape: Shape) -> Shape:
    stage = OP_KINDS[name].make(shape)
    return tuple(stage.run(torch.empty(shape), *stage.operands).shape)
