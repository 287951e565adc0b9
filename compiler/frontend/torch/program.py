"""Captured programs: a graph of ATen calls with its arguments and results."""

# pyright: standard

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch

Phase: TypeAlias = Literal["forward", "loss", "backward", "optimizer"]
Role: TypeAlias = Literal["parameter", "buffer", "input", "target", "optimizer_state"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape, dtype and strides (in elements) of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    stride: tuple[int, ...]

    @classmethod
    def of(cls, tensor: torch.Tensor) -> "TensorSpec":
        """Describe a strided tensor, fake or real."""
        return cls(tuple(tensor.shape), tensor.dtype, tuple(tensor.stride()))


@dataclass(frozen=True, slots=True)
class ProgramArgument:
    """A tensor that exists before the program starts.

    Attributes:
        name: Name of its placeholder in the graph.
        role: Its role in the program.
        path: Its path in the model (`transformer.wte.weight`), the name of the input, or the parameter and
            the key of an optimizer state (`transformer.wte.weight.exp_avg`).
        spec: Its shape, dtype and strides.
    """

    name: str
    role: Role
    path: str
    spec: TensorSpec


@dataclass(frozen=True, slots=True)
class CapturedProgram:
    """The kernels that eager PyTorch dispatches for one step, in its order.

    Every `call_function` node has `meta`: `val` (a `TensorSpec`, or a tuple of them and None), `phase`,
    `path` (of the module; in the backward, of the module whose forward is differentiated) and `source`
    (`modeling_gpt2.py:215`). Targets are `OpOverload`s, `operator.getitem` and `drop`.

    Attributes:
        name: `step` for training, `forward` for inference.
        model: The SPEC that was captured.
        graph: Placeholders in the order of `arguments`, then calls, then one output tuple.
        arguments: One for each placeholder.
        results: Names of the outputs: `loss` and `grad:<parameter>` in training, else those of the model.
        constants: Values of buffers that are literals in the model's source, by path; all small.
        assumptions: Sentences on what the program takes for granted, for the user.
    """

    name: Literal["step", "forward"]
    model: str
    graph: torch.fx.Graph
    arguments: tuple[ProgramArgument, ...]
    results: tuple[str, ...]
    constants: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    assumptions: tuple[str, ...] = ()


def drop(tensor: torch.Tensor) -> None:
    """Mark the end of the last reference to a storage, where that is after its last use.

    Python locals, `outputs.logits` and tensors saved for the backward keep memory that no later op reads.
    """
