"""One step of a model: the same code is captured with fake tensors and run with real ones."""

# pyright: standard

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch

from steelyard.compiler.frontend.adapt.eager import eagerly
from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.model import BuiltModel, LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype
from steelyard.compiler.frontend.torch.optimizer import optimizer_of
from steelyard.compiler.frontend.torch.program import Phase


def build_real(
    model: LoadedModel, options: CaptureOptions
) -> tuple[BuiltModel, torch.optim.Optimizer | None]:
    """Build a model with real weights and, for training, its optimizer."""
    built = model.build(fake=False)
    return built, optimizer_of(built, options) if options.train else None


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
        if built.step is not None:
            with _autocast(options), _following_phases(built.module, enter):
                returned = built.step()
            results = {name: tensor.detach() for name, tensor in named_tensors(returned)}
        else:
            results = {"loss": _standard_step(built, optimizer, options, enter)}
        if options.return_grads:
            results |= {f"grad:{n}": p.grad for n, p in built.module.named_parameters() if p.grad is not None}
        built.module.zero_grad(set_to_none=True)
        return results


def _standard_step(
    built: BuiltModel,
    optimizer: torch.optim.Optimizer | None,
    options: CaptureOptions,
    enter: Callable[[Phase], None],
) -> torch.Tensor:
    """Forward, loss and backward of each micro-batch, then the optimizer; the loss of the last."""
    loss = None
    for _ in range(built.micro_steps):
        loss = None  # that of the micro-batch before is gone
        enter("forward")
        with _autocast(options):
            outputs = built.run()
            enter("loss")
            loss = built.loss(outputs)
            if built.micro_steps > 1:
                loss = loss / built.micro_steps
        enter("backward")
        loss.backward()
    enter("optimizer")
    if optimizer is not None:
        optimizer.step()
    assert loss is not None
    return loss.detach()


@contextmanager
def _following_phases(module: torch.nn.Module, enter: Callable[[Phase], None]) -> Iterator[None]:
    """Tell the phases of a user's own step: until the module returns, until the backward, and after it."""
    backward = torch.autograd.backward

    def followed(*args: Any, **kwargs: Any) -> None:
        enter("backward")
        backward(*args, **kwargs)
        enter("optimizer")

    before = module.register_forward_pre_hook(lambda *_: enter("forward"))
    after = module.register_forward_hook(lambda *_: enter("loss"))
    with before, after, patch.object(torch.autograd, "backward", followed):
        yield


def forward_step(built: BuiltModel, options: CaptureOptions) -> dict[str, torch.Tensor]:
    """Run the forward without autograd; return all tensors of its outputs by name."""
    with eagerly(), built.context(), torch.no_grad(), _autocast(options):
        return dict(named_tensors(built.run()))


def _autocast(options: CaptureOptions) -> AbstractContextManager[object]:
    if options.autocast is None:  # one that is off would still hold the cache of those inside the model
        return nullcontext()
    return torch.autocast("cpu", dtype=parse_dtype(options.autocast))
