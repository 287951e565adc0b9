"""Loaded models, built with fake tensors for capture or with real ones to run."""

# pyright: standard

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A module and the inputs, loss and patches of one step.

    Attributes:
        module: In training or evaluation mode, as the options say.
        inputs: Arguments of the module by name, positional ones first; values that are no tensors are passed
            on as they are.
        targets: Names of those inputs that are targets of the loss.
        loss: Takes the module's outputs, returns a scalar.
        num_positional: How many of the inputs, from the first, are passed by position.
        context: Entered around each step; patches that the model needs.
        optimizer: The user's own, whose parameters are those of the module; otherwise the options name one.
        micro_steps: Forwards and backwards before the optimizer's step.
        step: A whole training step to run in place of forward, loss, backward and optimizer.
    """

    module: torch.nn.Module
    inputs: Mapping[str, Any]
    loss: Callable[[Any], torch.Tensor]
    targets: frozenset[str] = frozenset()
    num_positional: int = 0
    context: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)
    optimizer: torch.optim.Optimizer | None = None
    micro_steps: int = 1
    step: Callable[[], Any] | None = None

    def run(self) -> Any:
        """Call the module on its inputs."""
        items = list(self.inputs.items())
        positional, keywords = items[: self.num_positional], items[self.num_positional :]
        return self.module(*(value for _, value in positional), **dict(keywords))


class LoadedModel(Protocol):
    """The model that a SPEC names."""

    @property
    def spec(self) -> str:
        """The SPEC itself."""
        ...

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """Build the module and its inputs.

        Args:
            fake: A fake mode is active: skip the initialisation of weights.
            seed: Of weights and inputs.

        Raises:
            CaptureError: The model rejects its configuration.
        """
        ...
