"""The work of pointwise ops that one kernel does together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import size_bytes
from steelyard.compiler.dialects.cost import WORK, WorkAttr, WorkCounts
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.base.kernel_cost import KernelCost


def fused_work(
    members: Sequence[TorchOp], inputs: Iterable[SSAValue], outputs: Iterable[SSAValue]
) -> WorkCounts | None:
    """What one kernel does that reads its inputs and writes its outputs, each once.

    What the members pass on stays on chip. The kernel goes once over the largest space: a pointwise member
    of a smaller one is broadcast into it and computed again at each of its points.

    Args:
        members: The ops, annotated with `cost.work`.
        inputs: The values read; one that occurs twice is read once.
        outputs: The values written.

    Returns:
        The work, None where that of a member is unknown.
    """
    known = [(op, work.data) for op in members if isinstance(work := op.attributes.get(WORK), WorkAttr)]
    if len(known) < len(members) or not known:
        return None
    points = max(num_points(op) for op in members)
    parts = [
        (work, points // num_points(op) if work.kind == "pointwise" and num_points(op) else 1)
        for op, work in known
    ]
    largest = max((work for work, _ in parts), key=lambda work: work.flops)
    read, written = sum(map(_bytes, set(inputs))), sum(map(_bytes, outputs))
    arithmetic = sum((work * times for work, times in parts), KernelCost())
    return WorkCounts(
        kind=largest.kind,
        dtype=largest.dtype,
        bytes_unique=read + written,
        **replace(arithmetic, bytes_read=read, bytes_written=written).counts(),
    )


def num_points(op: TorchOp) -> int:
    """How many elements the first result of an op has."""
    return prod(shape_of(op))


def shape_of(op: TorchOp) -> tuple[int, ...]:
    """The shape of the first result of an op; () where it has none."""
    first = op.results[0].type if op.results else None
    return tuple(first.get_shape()) if isinstance(first, TensorType) else ()


def _bytes(value: SSAValue) -> int:
    return size_bytes(value.type)
