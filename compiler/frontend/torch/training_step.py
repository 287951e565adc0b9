"""One step of a model: the same code is captured with fake tensors and run with real ones."""

# pyright: standard

from collections.abc import Callable, Hashable

import torch

from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.model import BuiltModel, LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype
from steelyard.compiler.frontend.torch.program import Phase


def make_optimizer(module: torch.nn.Module, options: CaptureOptions) -> torch.optim.Optimizer | None:
    """Make the fused optimizer of the options, whose state exists already.

    The state is made by a step with zero gradients and rate, which leaves the parameters as they are, all
    moments zero, and AdamW's count of steps at 1.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    if options.optimizer == "none":
        return None
    if options.optimizer == "adamw":
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)
    else:
        optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, fused=True)
    _make_state(optimizer, parameters)
    return optimizer


def build_real(
    model: LoadedModel, options: CaptureOptions
) -> tuple[BuiltModel, torch.optim.Optimizer | None]:
    """Build a model with real weights and, for training, its optimizer."""
    built = model.build(fake=False)
    return built, make_optimizer(built.module, options) if options.train else None


def run_step(
    built: BuiltModel, optimizer: torch.optim.Optimizer | None, options: CaptureOptions
) -> dict[str, torch.Tensor]:
    """Run the step that the options ask for; see `training_step` and `forward_step`."""
    return training_step(built, optimizer, options) if options.train else forward_step(built, options)


def training_step(
    built: BuiltModel,
    optimizer: torch.optim.Optimizer | None,
    options: CaptureOptions,
    enter: Callable[[Phase], None] = lambda phase: None,
) -> dict[str, torch.Tensor]:
    """Run forward, loss, backward and optimizer; return the loss, and the gradients if asked for.

    Gradients are cleared at the end, so that a step starts with parameters, buffers, optimizer state and
    inputs alone. `enter` is called with each phase as it begins.
    """
    with built.context():
        enter("forward")
        with _autocast(options):
            outputs = built.run()
            enter("loss")
            loss = built.loss(outputs)
        enter("backward")
        loss.backward()
        enter("optimizer")
        if optimizer is not None:
            optimizer.step()
        results = {"loss": loss.detach()}
        if options.return_grads:
            results |= {f"grad:{n}": p.grad for n, p in built.module.named_parameters() if p.grad is not None}
        built.module.zero_grad(set_to_none=True)
        return results


def forward_step(built: BuiltModel, options: CaptureOptions) -> dict[str, torch.Tensor]:
    """Run the forward without autograd; return all tensors of its outputs by name."""
    with built.context(), torch.no_grad(), _autocast(options):
        return dict(named_tensors(built.run()))


def _autocast(options: CaptureOptions) -> torch.autocast:
    dtype = parse_dtype(options.autocast) if options.autocast else None
    return torch.autocast("cpu", dtype=dtype, enabled=dtype is not None)


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
