"""Shapes of modules' outputs: those of the last tensor that each makes in the forward."""

from functools import cache
from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import CallOp, FuncOp

from steelyard.compiler.analysis.call_graph import CallGraph, callee_name
from steelyard.compiler.analysis.storages import join_paths
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import OP_PATH, PHASE, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.runtime.program.conditions import Tensor, shape_of


def output_shapes(graph: CallGraph) -> dict[str, str]:
    """Return the shape of each module's output by its path, and of the model's by ""."""

    @cache
    def shapes_of(function: FuncOp) -> dict[str, str]:
        found: dict[str, str] = {}
        for op in function.body.block.ops:
            path = text_attribute(op, OP_PATH)
            if isinstance(op, CallOp):
                inside = shapes_of(graph.functions[callee_name(op)])
                found |= {join_paths(path, each): shape for each, shape in inside.items()}
                if "" in inside:
                    found |= dict.fromkeys(_around(path), inside[""])
            elif isinstance(op, TorchOp | FusedOp) and text_attribute(op, PHASE) in ("", "forward"):
                first = op.results[0].type if op.results else None
                if isinstance(first, TensorType):
                    found |= dict.fromkeys(_around(path), shape_of(cast(Tensor, first)))
        return found

    return shapes_of(graph.entry)


def _around(path: str) -> list[str]:
    """A module, those that it lies in, and the model."""
    names = path.split(".") if path else []
    return [".".join(names[:depth]) for depth in range(len(names) + 1)]
