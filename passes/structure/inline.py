"""The pass inline: replace every call by the ops of its function."""

from dataclasses import dataclass

from xdsl.dialects.builtin import StringAttr
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import SSAValue

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.call_graph import callee_name, calls_of
from steelyard.compiler.analysis.storages import join_paths
from steelyard.compiler.dialects.program import OP_PATH, text_attribute
from steelyard.passes.annotate.program_pass import ProgramPass


@dataclass(frozen=True)
class InlinePass(ProgramPass):
    """Inline all calls; the inverse of outline.

    Reads calls and their paths. Writes the ops with their full path. Removes the functions. Live bytes,
    which inside a function are relative to its entry, are annotated anew.
    """

    name = "inline"
    invalidates = frozenset({"memory"})
    rewrites = True

    def transform(self, program: Analyses) -> None:
        """Inline all calls of a module."""
        graph = program.call_graph
        for function in graph.functions.values():  # callees first
            for call in calls_of(function):
                _inline(call, graph.functions[callee_name(call)])
        for function in graph.functions.values():
            if function is not graph.entry:
                function.detach()
                function.erase()


def _inline(call: CallOp, callee: FuncOp) -> None:
    block = call.parent
    assert block is not None
    prefix = text_attribute(call, OP_PATH)
    mapping: dict[SSAValue, SSAValue] = dict(zip(callee.body.block.args, call.operands, strict=True))
    for op in callee.body.block.ops:
        if isinstance(op, ReturnOp):
            for old, new in zip(call.results, op.operands, strict=True):
                old.replace_all_uses_with(mapping[new])
            continue
        copy = op.clone(mapping)
        if prefix and OP_PATH in op.attributes:
            copy.attributes[OP_PATH] = StringAttr(join_paths(prefix, text_attribute(op, OP_PATH)))
        block.insert_op_before(copy, call)
    call.detach()
    call.erase()
