"""Modules of fake tensors: made from modules whose weights are elsewhere, and converted to other types."""

# pyright: standard

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch

from steelyard.compiler.frontend.torch.torch_private import FakeTensor


def make_fake(module: torch.nn.Module) -> dict[int, torch.Tensor]:
    """Replace each tensor of a module by an empty one of the active fake mode; shared ones stay shared.

    Beside parameters and buffers these are plain attributes, as exported programs hold their constants.

    `Module.to_empty` does not do: a fake mode refuses tensors that it did not make, and it unties weights.

    Returns:
        The new tensors by the `id` of those that they replace.
    """
    made: dict[int, torch.Tensor] = {}
    for owner in module.modules():
        plain = [each for each in vars(owner).items() if isinstance(each[1], torch.Tensor)]
        held = [*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False), *plain]
        for name, tensor in held:
            if id(tensor) not in made:
                made[id(tensor)] = _empty_parameter(tensor)
            setattr(owner, name, made[id(tensor)])
    return made


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    """Return a CPU tensor of the same shape, strides and dtype, fake where a fake mode is active."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")


def _empty_parameter(tensor: torch.Tensor) -> torch.Tensor:
    if not isinstance(tensor, torch.nn.Parameter):
        return empty_like(tensor)
    return torch.nn.Parameter(empty_like(tensor), requires_grad=tensor.requires_grad)


@contextmanager
def converting_fakes() -> Iterator[None]:
    """Let `module.half()`, `.to(dtype)` and the like work on modules of fake tensors.

    Torch (2.11 to 2.13) would swap their contents, and refuses because a fake mode refers to them. Here each
    parameter and buffer is replaced by a new one; tensors shared by modules stay shared.
    """
    original = torch.nn.Module._apply
    made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def convert(module: torch.nn.Module, fn: Callable[[torch.Tensor], torch.Tensor], *_: Any) -> Any:
        for child in module.children():
            child._apply(fn)
        for owned in (module._parameters, module._buffers):
            for name, tensor in owned.items():
                if tensor is not None:
                    owned[name] = _converted(tensor, fn)  # pyright: ignore[reportArgumentType]
        return module

    def _converted(tensor: torch.Tensor, fn: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        known = made.get(id(tensor))
        if known is None or known[0] is not tensor:
            with torch.no_grad():
                new = fn(tensor)
            if isinstance(tensor, torch.nn.Parameter):
                new = torch.nn.Parameter(new, requires_grad=tensor.requires_grad)
            made[id(tensor)] = known = tensor, new
        return known[1]

    torch.nn.Module._apply = convert  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        torch.nn.Module._apply = original


@contextmanager
def copying_fakes() -> Iterator[None]:
    """Let `copy.deepcopy` work on modules of fake tensors, and on the tensors.

    Torch (2.13) would copy the fake mode with them, and give a fake tensor a real storage, which
    corrupts memory; its own FakeCopyMode copies fakes as here, but takes part in every call of torch.
    """

    def copied(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
        if id(tensor) in memo:
            return memo[id(tensor)]
        if not tensor.is_leaf:
            raise RuntimeError("only leaves of autograd can be deep-copied; detach the tensor first")
        with torch.no_grad():
            new = tensor.detach().clone()
        if isinstance(tensor, torch.nn.Parameter):
            new = torch.nn.Parameter(new, requires_grad=False)
        memo[id(tensor)] = new.requires_grad_(tensor.requires_grad)
        if tensor.grad is not None:
            new.grad = deepcopy(tensor.grad, memo)
        return memo[id(tensor)]

    FakeTensor.__deepcopy__ = copied  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        del FakeTensor.__deepcopy__  # pyright: ignore[reportAttributeAccessIssue]
