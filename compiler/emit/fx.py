# pyright: standard
"""A program of the IR as an FX graph that torch runs."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import Graph, Node
from xdsl.dialects.builtin import NoneType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, SSAValue

from steelyard.compiler.analysis.op_facts import where
from steelyard.compiler.dialects.host import FetchOp, OffloadOp, StoreOp
from steelyard.compiler.dialects.kernel import FusedOp, YieldOp
from steelyard.compiler.dialects.program import DropOp
from steelyard.compiler.dialects.schema import Parameter
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.emit.host_copy import from_host, store_on_host, to_host
from steelyard.compiler.frontend.torch.program import drop
from steelyard.hw.base.errors import ExecutionError

Kernels = Callable[[FusedOp], Callable[..., Sequence[torch.Tensor]]]
"""Compiler of fused kernels: from a kernel op to a callable that maps its inputs to its outputs."""


def emit_graph(function: FuncOp, kernels: Kernels | None = None) -> Graph:
    """The FX graph of a function without calls: one placeholder an argument, one output tuple.

    Node `meta["op"]` is the op that a node comes from. Values are released after their last use, as FX's
    generated code does, so that running it holds what the IR says. A fused kernel is one node.

    Args:
        function: The function.
        kernels: Compiles fused kernels; required if the function has any.

    Raises:
        ExecutionError: an op is unknown to the torch that is installed, or cannot be run.
    """
    return _emit_block(function.body.block, function.sym_name.data, kernels)


def emit_kernel(kernel: FusedOp) -> Graph:
    """The FX graph of a fused kernel's body: one placeholder an input, one output tuple.

    Raises:
        ExecutionError: see `emit_graph`.
    """
    return _emit_block(kernel.body.block, kernel.name, None)


def _emit_block(block: Block, name: str, kernels: Kernels | None) -> Graph:
    graph = Graph()
    nodes = dict[SSAValue, Node | None]()
    for index, value in enumerate(block.args):
        nodes[value] = graph.placeholder(f"argument_{index}")
    for op in block.ops:
        if isinstance(op, TorchOp):
            _emit(graph, op, nodes)
        elif isinstance(op, FusedOp) and kernels is not None:
            node = graph.call_function(kernels(op), tuple(nodes[value] for value in op.operands))
            node.meta["op"] = op
            for index, result in enumerate(op.results):
                nodes[result] = graph.call_function(operator.getitem, (node, index))
        elif isinstance(op, DropOp):
            graph.call_function(drop, (nodes[op.value],))
        elif isinstance(op, OffloadOp):
            nodes[op.copy] = graph.call_function(to_host, (nodes[op.value],))
        elif isinstance(op, FetchOp):
            nodes[op.value] = graph.call_function(from_host, (nodes[op.copy],))
        elif isinstance(op, StoreOp):
            graph.call_function(store_on_host, (nodes[op.value], nodes[op.copy]))
        elif isinstance(op, ReturnOp | YieldOp):
            graph.output(tuple(nodes[value] for value in op.operands))
        else:
            fix = "run the pass `inline` first"
            raise ExecutionError(what=f"{op.name} cannot be run", where=name, fix=fix)
    return graph


def torch_operator(op: TorchOp) -> Any:
    """Torch's overload of an op.

    Raises:
        ExecutionError: it does more than compute, or the installed torch has no such operator.
    """
    if not op.schema.only_computes:
        raise ExecutionError(
            what=f"{operator_name(op)} is not run",
            where=where(op) or None,
            why="it reads or writes a file, or sets a state of the process: programs may only compute",
        )
    namespace, name, *overload = operator_name(op).split(".")
    try:
        return getattr(getattr(getattr(torch.ops, namespace), name), overload[0] if overload else "default")
    except AttributeError as error:
        raise ExecutionError(
            what=f"torch {torch.__version__} has no operator {operator_name(op)}",
            where=where(op) or None,
            fix="import the library that defines it, or install the torch that captured the program",
        ) from error


def torch_arguments(op: TorchOp, values: Mapping[SSAValue, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with which torch calls an op, positional and by name.

    Args:
        op: The op.
        values: The value of each operand.
    """
    schema = op.schema
    args, kwargs = list[Any](), dict[str, Any]()
    arguments = op.arguments()
    for index, parameter in enumerate(schema.parameters):
        if parameter.name not in arguments and parameter.default is not None:
            continue
        value = _restore(arguments.get(parameter.name), parameter, values)
        if index == len(args) and index < schema.num_positional:
            args.append(value)
        else:
            kwargs[parameter.name] = value
    return args, kwargs


def _emit(graph: Graph, op: TorchOp, nodes: dict[SSAValue, Node | None]) -> None:
    schema = op.schema
    args, kwargs = torch_arguments(op, nodes)
    node = graph.call_function(torch_operator(op), tuple(args), kwargs)
    node.meta["op"] = op
    listed = len(schema.returns) > 1 or any(p.kind.endswith("]") for p in schema.returns)
    for index, result in enumerate(op.results):
        if not listed:
            nodes[result] = node
        elif isinstance(result.type, NoneType):
            nodes[result] = None
        elif result.uses.get_length() > 0:
            nodes[result] = graph.call_function(operator.getitem, (node, index))


def _restore(value: Any, parameter: Parameter, nodes: Mapping[SSAValue, Any]) -> Any:
    """An IR argument as torch takes it."""
    if isinstance(value, SSAValue):
        return nodes[value]
    if isinstance(value, list):
        return [_restore(item, parameter, nodes) for item in value]
    if isinstance(value, str):
        match parameter.kind.rstrip("?"):
            case "ScalarType" | "Layout" | "MemoryFormat":
                return getattr(torch, value)
            case "Device":
                return torch.device(value)
    return value
