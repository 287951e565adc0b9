"""A model whose images and weights lie with channels last."""

# pyright: standard

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._pytree import tree_map

from steelyard.compiler.frontend.model import BuiltModel, LoadedModel
from steelyard.compiler.frontend.options import no_effect

_IMAGE_DIMS = 4


@dataclass(frozen=True, slots=True)
class ChannelsLast:
    """A model in `torch.channels_last`: every weight and every input of four dims.

    Attributes:
        model: The model as it is otherwise.
    """

    model: LoadedModel

    @property
    def spec(self) -> str:
        """The SPEC of the model."""
        return self.model.spec

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """Build the model and its inputs in that layout; see `LoadedModel`.

        Raises:
            UsageError: No input is a batch of images.
        """
        built = self.model.build(fake=fake, seed=seed)
        inputs = dict(tree_map(_laid_out, dict(built.inputs)))
        if all(inputs[name] is each for name, each in built.inputs.items()):
            raise no_effect("channels_last", self.spec, f"no input has {_IMAGE_DIMS} dims")
        for weight in (*built.module.parameters(), *built.module.buffers()):
            weight.data = _laid_out(weight.data)  # `module.to` would swap tensors, which fakes do not take
        return replace(built, inputs=inputs)


def _laid_out(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dim() == _IMAGE_DIMS:
        return value.contiguous(memory_format=torch.channels_last)
    return value
