"""One step of a model: the same code is captured with fake tensors and run with real ones."""

# pyright: standard

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from steelyard.compiler.frontend.adapt.eager import eagerly
from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.model import BuiltModel, LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype
from steelyard.compiler.frontend.torch.optimizer import make_optimizer
from steelyard.compiler.frontend.torch.program import Phase


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
    with eagerly(), built.context():
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
    with eagerly(), built.context(), torch.no_grad(), _autocast(options):
        return dict(named_tensors(built.run()))


def _autocast(options: CaptureOptions) -> AbstractContextManager[object]:
    if options.autocast is None:  # one that is off would still hold the cache of those inside the model
        return nullcontext()
    return torch.autocast("cpu", dtype=parse_dtype(options.autocast))
