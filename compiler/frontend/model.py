"""A model that can be built twice: with fake tensors to be captured, and with real ones to be run."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A module and what one step of it needs.

    Attributes:
        module: In training or evaluation mode, as the options say.
        inputs: Keyword arguments of the module, by name; values that are no tensors are passed on as they are.
        targets: Names of those inputs that are targets of the loss.
        loss: Takes the module's outputs, returns a scalar.
        context: Entered around each step; patches that the model needs.
    """

    module: torch.nn.Module
    inputs: Mapping[str, Any]
    loss: Callable[[Any], torch.Tensor]
    targets: frozenset[str] = frozenset()
    context: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)


class LoadedModel(Protocol):
    """What a SPEC stands for."""

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
