"""Fused kernels compiled by TorchInductor, each distinct one once."""

import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch._inductor.compile_fx import compile_fx, compile_fx_inner
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler
from torch.fx import GraphModule
from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import call_key
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.emit.fx import emit_kernel

Strides = tuple[tuple[int, ...], ...]


class FusedKernels:
    """Cache of compiled fused kernels by structure.

    Results equal those of the separate ops except for rounding of elementary functions and contracted
    products: in f32 within a few units in the last place.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, FusedKernel] = {}

    def __call__(self, op: FusedOp) -> "FusedKernel":
        """The compiled kernel of an op.

        Raises:
            ExecutionError: torch lacks one of its ops.
        """
        key = _structure(op)
        if key not in self._known:
            self._known[key] = FusedKernel(GraphModule(torch.nn.Module(), emit_kernel(op)))
        return self._known[key]

    def __len__(self) -> int:
        """Number of distinct kernels."""
        return len(self._known)


class FusedKernel:
    """A fused kernel as a function of its inputs, compiled at the first call with given strides.

    Without a C++ compiler it runs op by op, with one warning.
    """

    def __init__(self, graph_module: GraphModule) -> None:
        self.__name__ = "fused"  # FX names the node by it
        self._graph_module = graph_module
        self._compiled: dict[Strides, Callable[..., Any]] = {}

    def __call__(self, *inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        """The outputs: new tensors with the strides that the separate ops give."""
        strides = tuple(value.stride() for value in inputs)
        compiled = self._compiled.get(strides)
        if compiled is None:
            compiled = self._compile(inputs) if has_compiler() else self._graph_module.forward
            self._compiled[strides] = compiled
        return compiled(*inputs)

    def _compile(self, inputs: Sequence[torch.Tensor]) -> Callable[..., Any]:
        """Compile with TorchInductor and return its kernel without wrappers.

        The wrappers handle views, mutation and gradients, none of which a fused kernel has, and torch.compile
        would guard shapes and strides, which are fixed here. The wrappers alone take longer than a small
        kernel: 3.6 us beside 1.1 on the machine of docs/accuracy.md.
        """
        made: list[Any] = []

        def keep(*arguments: Any, **options: Any) -> Any:
            made.append(compile_fx_inner(*arguments, **options))
            return made[-1]

        whole = cast("Callable[..., Any]", compile_fx(self._graph_module, list(inputs), inner_compile=keep))
        kernel = getattr(made[0], "current_callable", None) if len(made) == 1 else None
        return whole if kernel is None else lambda *given: kernel([*given])


@cache
def has_compiler() -> bool:
    """Whether TorchInductor finds a C++ compiler; warns once if it does not."""
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        warnings.warn(
            "no C++ compiler is found: fused kernels run op by op and save nothing; install g++ or set CXX",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def _structure(op: FusedOp) -> Hashable:
    """Structural key of a fused kernel: its ops and their def-use edges."""
    numbers: dict[SSAValue, int] = {value: index for index, value in enumerate(op.body.block.args)}
    inside: list[Hashable] = []
    for each in op.body.block.ops:
        used = tuple(numbers[value] for value in each.operands)
        inside.append((call_key(each) if isinstance(each, TorchOp) else each.name, used))
        for value in each.results:
            numbers[value] = len(numbers)
    return (tuple(value.type for value in op.operands), *inside)
