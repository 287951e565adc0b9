"""Work of kernels that fuse several steps: each step's operations, and each tensor moved once."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.iteration_space import Flops, IterationSpace
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_work import WorkKind

MAC = Flops(contraction=2)


class Step(NamedTuple):
    """A step inside a kernel, whose operands and results stay on chip.

    Attributes:
        dims: Its iteration dims and their extents.
        flops_per_iteration: The operations at each point.
    """

    dims: Mapping[str, int]
    flops_per_iteration: Flops


def fused(call: OpCall, kind: WorkKind, steps: Iterable[Step]) -> OpWork:
    """Return the work of a kernel of some steps that reads every operand and writes every result once.

    Along its dims it cannot be cut: no step says which part of an operand it takes.

    Args:
        call: The call.
        kind: The kind of kernel.
        steps: What it computes.
    """
    computed = [
        IterationSpace(
            {f"s{at}_{dim}": extent for dim, extent in step.dims.items()},
            frozenset(f"s{at}_{dim}" for dim in step.dims),
            flops_per_iteration=step.flops_per_iteration,
            combine="opaque",
        )
        for at, step in enumerate(steps)
    ]
    return OpWork(kind, (*computed, *moved(call.tensors, call.outputs)))


def moved(reads: Iterable[Value], writes: Iterable[Value]) -> list[IterationSpace]:
    """Return the spaces that read and write tensors whole, each once."""
    taken = [elementwise((each,), (), Flops(), prefix=f"r{at}_") for at, each in enumerate(reads)]
    put = [elementwise((), (each,), Flops(), prefix=f"w{at}_") for at, each in enumerate(writes)]
    return [*taken, *put]
