"""Recomputability of ops, and their copies in the backward."""

from collections.abc import Mapping

from xdsl.dialects.builtin import StringAttr, UnitAttr
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.memory_effects import written_values
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.cost import MEMORY
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import PHASE
from steelyard.compiler.dialects.torch_op import Argument, TorchOp

RECOMPUTED = "recomputed"
"""Attribute of a recomputed op."""

_STATISTICS = ("running_mean", "running_var")


def is_recomputable(op: Operation, reader: OpInfoCache) -> bool:
    """Whether a second run on the same operands gives the same results without side effects.

    Random ops would draw other numbers; collectives need all ranks to agree. A batch norm in training is
    recomputable: its results depend on the batch alone, and the copy has no statistics to update.
    """
    if isinstance(op, FusedOp):
        return True
    if not isinstance(op, TorchOp):
        return False
    work = reader.read(op).work
    arguments = op.arguments()
    if work is None or work.is_random or work.collective or work.gradients:
        return False
    statistics = [arguments.get(name) for name in _STATISTICS if arguments.get("training")]
    return all(value in statistics for value in written_values(op, reader))


def recompute_op(op: Operation, values: Mapping[SSAValue, SSAValue]) -> Operation:
    """A copy of an op for the backward, which reads `values` in place of the original's operands."""
    copy = op.clone(dict(values))
    if isinstance(op, TorchOp) and isinstance(copy, TorchOp):
        given = copy.arguments()
        if given.get("training") and any(name in given for name in _STATISTICS):
            kept: dict[str, Argument] = {name: given[name] for name in given if name not in _STATISTICS}
            attributes = copy.attributes
            copy = type(copy).build_call(copy.schema, kept, [result.type for result in op.results])
            copy.attributes.update(attributes)
    for result, original in zip(copy.results, op.results, strict=True):
        result.name_hint = original.name_hint
    copy.attributes.pop(MEMORY, None)
    copy.attributes[PHASE] = StringAttr("backward")
    copy.attributes[RECOMPUTED] = UnitAttr()
    return copy
