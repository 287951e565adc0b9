"""Loaded models, built with fake tensors for capture or with real ones to run."""

# pyright: standard

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from steelyard.hw.base.errors import CaptureError


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A module and the inputs, loss and patches of one step.

    Attributes:
        module: In training or evaluation mode, as the options say.
        inputs: Arguments of the module, by name; values that are no tensors are passed on as they are.
        targets: Names of those inputs that are targets of the loss.
        loss: Takes the module's outputs, returns a scalar.
        num_positional: How many of the inputs, from the first, are passed by position.
        context: Entered around each step; patches that the model needs.
    """

    module: torch.nn.Module
    inputs: Mapping[str, Any]
    loss: Callable[[Any], torch.Tensor]
    targets: frozenset[str] = frozenset()
    num_positional: int = 0
    context: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)

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


def bind_inputs(module: torch.nn.Module, inputs: Any) -> dict[str, Any]:
    """Name the example inputs of a module by the parameters of its `forward`.

    Args:
        module: Has a `forward`.
        inputs: One tensor, a tuple or list of positional arguments, or a mapping of keyword arguments.

    Raises:
        CaptureError: They do not fit.
    """
    positional, keywords = ((), inputs) if isinstance(inputs, Mapping) else (inputs, {})
    if isinstance(positional, torch.Tensor):
        positional = (positional,)
    signature = inspect.signature(module.forward)
    try:
        return dict(signature.bind(*positional, **keywords).arguments)
    except TypeError as error:
        raise CaptureError(
            what=f"the example inputs do not fit {type(module).__name__}.forward",
            why=f"{error}; it is forward{signature}",
        ) from error
