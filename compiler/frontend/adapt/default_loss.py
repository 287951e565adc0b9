"""Default loss: a scalar to differentiate where none is given."""

# pyright: standard

from typing import Any

import torch

from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.hw.base.errors import CaptureError


def sum_of_first_output(outputs: Any) -> torch.Tensor:
    """Return the output named `loss` if it is a scalar, else the sum of the first that has a gradient.

    Raises:
        CaptureError: No output has a gradient.
    """
    found = [(name, tensor) for name, tensor in named_tensors(outputs) if tensor.requires_grad]
    if not found:
        raise CaptureError(
            what="there is nothing to differentiate",
            why=f"the outputs are {_describe(outputs)}, and none has a gradient",
            fix="return (module, example_inputs, loss), where loss(outputs) is a scalar that depends on the "
            "parameters",
        )
    for name, tensor in found:
        if name == "loss" and tensor.numel() == 1:
            return tensor
    first = found[0][1]
    return (torch.view_as_real(first) if first.is_complex() else first.float()).sum()


def _describe(outputs: Any) -> str:
    tensors = [f"{name}: {str(each.dtype).removeprefix('torch.')}" for name, each in named_tensors(outputs)]
    return ", ".join(tensors) or f"{type(outputs).__name__} without a tensor"
