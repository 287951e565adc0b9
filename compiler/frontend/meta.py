"""From a module on the meta device to one of fake CPU tensors."""

import torch


def move_from_meta(module: torch.nn.Module) -> None:
    """Replace each parameter and buffer by an empty CPU tensor of the active fake mode; shared ones stay shared.

    `Module.to_empty` does not do: a fake mode refuses tensors that it did not make, and it unties weights.
    """
    moved: dict[int, torch.Tensor] = {}
    for owner in module.modules():
        for name, tensor in [*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)]:
            if id(tensor) not in moved:
                moved[id(tensor)] = _empty_like(tensor)
            setattr(owner, name, moved[id(tensor)])


def _empty_like(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
    if not isinstance(tensor, torch.nn.Parameter):
        return empty
    return torch.nn.Parameter(empty, requires_grad=tensor.requires_grad)
