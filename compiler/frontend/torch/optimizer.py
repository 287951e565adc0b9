"""Optimizers of a training step, whose state exists already."""

# pyright: standard

from collections.abc import Callable, Hashable
from typing import Any

import torch

from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions

_OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "adamw": (torch.optim.AdamW, {}),
    "adam": (torch.optim.Adam, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adagrad": (torch.optim.Adagrad, {}),
}


def optimizer_of(built: BuiltModel, options: CaptureOptions) -> torch.optim.Optimizer | None:
    """Return the user's own optimizer with its state, or make that of the options; none for a bare step."""
    if built.optimizer is None:
        return None if built.step else make_optimizer(built.module, options)
    if options.cuda:
        _default_to_foreach(built.optimizer)
    parameters = [p for group in built.optimizer.param_groups for p in group["params"] if p.requires_grad]
    if not any(built.optimizer.state.get(p) for p in parameters):
        _make_state(built.optimizer, parameters)
    return built.optimizer


def make_optimizer(module: torch.nn.Module, options: CaptureOptions) -> torch.optim.Optimizer | None:
    """Make the optimizer of the options; none where no parameter trains.

    The state is made by a step with zero gradients and rate, which leaves the parameters as they are, all
    moments zero, and counts of steps at 1.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    if options.optimizer == "none" or not parameters:
        return None
    make, arguments = _OPTIMIZERS[options.optimizer]
    implementation = options.implementation
    if implementation == "fused" and any(p.is_complex() for p in parameters):
        implementation = "foreach"  # no fused kernel takes them
    # Not every class takes `fused`.
    flags = {"fused": True} if implementation == "fused" else {"foreach": implementation == "foreach"}
    optimizer = make(parameters, lr=1e-3, **arguments, **flags)
    _make_state(optimizer, parameters)
    return optimizer


def describe_optimizer(optimizer: torch.optim.Optimizer) -> str:
    """The class of an optimizer and its implementation: fused, foreach or for-loop."""
    settings = {**optimizer.defaults, **optimizer.param_groups[0]}
    implementation = next((name for name in ("fused", "foreach") if settings.get(name)), "for-loop")
    return f"{type(optimizer).__name__}, {implementation} implementation"


def _default_to_foreach(optimizer: torch.optim.Optimizer) -> None:
    """Take foreach where the user chose nothing, as torch.optim does where the parameters are on a GPU."""
    for group in optimizer.param_groups:
        if "foreach" in group and group["foreach"] is None and not group.get("fused"):
            group["foreach"] = True


def _make_state(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> None:
    kept = [(group, group["lr"], group.get("weight_decay", 0.0)) for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group.update(lr=0.0, weight_decay=0.0)
    zeros: dict[Hashable, torch.Tensor] = {}  # one for all parameters of a layout: a fused step only reads it
    for parameter in parameters:
        layout = parameter.shape, parameter.stride(), parameter.dtype, parameter.device
        if layout not in zeros:
            zeros[layout] = torch.zeros_like(parameter)
        parameter.grad = zeros[layout]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, lr, weight_decay in kept:
        group.update(lr=lr, weight_decay=weight_decay)
