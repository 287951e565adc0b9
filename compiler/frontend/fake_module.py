"""From a module whose weights are elsewhere (on the meta device, or read from a file) to fake CPU tensors."""

# pyright: standard

import torch


def make_fake(module: torch.nn.Module) -> None:
    """Replace each parameter and buffer by an empty tensor of the active fake mode; shared ones stay shared.

    `Module.to_empty` does not do: a fake mode refuses tensors that it did not make, and it unties weights.
    """
    made: dict[int, torch.Tensor] = {}
    for owner in module.modules():
        for name, tensor in [*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)]:
            if id(tensor) not in made:
                made[id(tensor)] = _empty_parameter(tensor)
            setattr(owner, name, made[id(tensor)])


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    """Return a CPU tensor of the same shape, strides and dtype, fake where a fake mode is active."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")


def _empty_parameter(tensor: torch.Tensor) -> torch.Tensor:
    if not isinstance(tensor, torch.nn.Parameter):
        return empty_like(tensor)
    return torch.nn.Parameter(empty_like(tensor), requires_grad=tensor.requires_grad)
