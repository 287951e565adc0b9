"""The pass inline: replace every call by the ops of its function."""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.call_graph import call_graph, callee_name, calls_of
from steelyard.compiler.analysis.storages import join_paths
from steelyard.compiler.dialects.cost import MEMORY
from steelyard.compiler.dialects.program import OP_PATH, text_attribute


@dataclass(frozen=True)
class InlinePass(ModulePass):
    """Inline all calls; the inverse of outline.

    Reads calls and their paths. Writes the ops with their full path. Removes the functions, and
    `cost.memory`, which inside a function is relative to its entry.
    """

    name = "inline"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Inline all calls of a module."""
        graph = call_graph(op)
        for function in graph.functions.values():  # callees first
            for call in calls_of(function):
                _inline(call, graph.functions[callee_name(call)])
            for each in function.body.block.ops:
                each.attributes.pop(MEMORY, None)
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
