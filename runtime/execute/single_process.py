"""Execution of a program in this process: IR to FX to ATen."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.fx import GraphModule
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.dialects.host import HostType
from steelyard.compiler.dialects.program import PATH, ROLE, argument_texts, entry_function
from steelyard.compiler.emit.fx import emit_graph
from steelyard.compiler.emit.host_copy import HostCopy, to_host
from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.hw.base.errors import ExecutionError
from steelyard.runtime.execute.inductor_kernels import FusedKernels

Binding = Mapping[tuple[str, str], torch.Tensor]
"""Tensors by role (`parameter`) and path (`transformer.wte.weight`)."""


def compile_program(module: ModuleOp) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Compile a program to a function of its arguments, in order, that runs each op as a separate kernel.

    A `kernel.fused` runs as one kernel, compiled by TorchInductor at its first run. The function frees every
    value after its last use and updates parameters, buffers and optimizer state in place. No gradient is
    recorded, for no argument asks for one; but some kernels, as oneDNN's of RNNs, keep what their backward
    needs only where the mode allows it, as it does in a training step.

    Raises:
        ExecutionError: torch cannot run one of its ops.
    """
    function = entry_function(module)
    graph_module = GraphModule(torch.nn.Module(), emit_graph(function, FusedKernels()))
    trains = function.sym_name.data == "step"

    def run(*arguments: torch.Tensor | HostCopy) -> tuple[torch.Tensor, ...]:
        with torch.set_grad_enabled(trains):
            return graph_module.forward(*arguments)

    return run


def bind(
    built: BuiltModel,
    optimizer: torch.optim.Optimizer | None,
    constants: Mapping[str, torch.Tensor] | None = None,
) -> Binding:
    """The tensors of a real model, its inputs and its optimizer, by role and path."""
    found = {("parameter", path): p.detach() for path, p in built.module.named_parameters()}
    found |= {("buffer", path): buffer for path, buffer in built.module.named_buffers()}
    found |= {("buffer", path): value.clone() for path, value in (constants or {}).items()}
    for name, value in named_tensors(dict(built.inputs)):
        found["target" if name in built.targets else "input", name] = value
    for path, parameter in built.module.named_parameters():
        for key, state in (optimizer.state.get(parameter, {}) if optimizer else {}).items():
            if isinstance(state, torch.Tensor):
                found["optimizer_state", f"{path}.{key}"] = state
    return found


def order_arguments(module: ModuleOp, binding: Binding) -> Sequence[torch.Tensor | HostCopy]:
    """The tensors of a binding in the order of the arguments; host copies where those are on the host.

    Raises:
        ExecutionError: an argument has no tensor, or one of another shape.
    """
    function = entry_function(module)
    ordered = list[torch.Tensor | HostCopy]()
    roles, paths = argument_texts(function, ROLE), argument_texts(function, PATH)
    for role, path, value in zip(roles, paths, function.body.block.args, strict=True):
        tensor = binding.get((role, path))
        if tensor is None:
            raise ExecutionError(
                what=f"the program needs a {role} that the model does not have",
                where=path or "an argument without a path",
                fix="run it with the SPEC and options with which it was captured",
            )
        tensor_type = value.type.tensor if isinstance(value.type, HostType) else value.type
        shape = tuple(tensor_type.get_shape())  # pyright: ignore[reportAttributeAccessIssue]
        if tuple(tensor.shape) != shape:
            raise ExecutionError(
                what=f"{role} {path} has another shape",
                why=f"the program takes {shape}, the model has {tuple(tensor.shape)}",
                fix="run it with the SPEC and options with which it was captured",
            )
        ordered.append(to_host(tensor) if isinstance(value.type, HostType) else tensor)
    return ordered
