"""The model that a call of the API is about: a SPEC, a live module or a captured program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

from steelyard.compiler.frontend.options import no_effect
from steelyard.hw.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from steelyard.compiler.frontend.model import LoadedModel

Model: TypeAlias = "str | torch.nn.Module"
_LIVE = ("inputs", "loss", "step", "accumulate")
_TRAINING = ("optimizer", "optimizer_implementation", "dropout")
_SHAPES = ("batch", "sequence", "image_size", "attention", "dtype", "channels_last")
_OF_A_SPEC = (*_SHAPES, "dropout", "allow_pickle")


class StepOptions(TypedDict, total=False):
    """The step of a model.

    Attributes:
        inputs: Of a live module: a tensor, a tuple of positional or a mapping of keyword arguments; the batch
            of `step`. They may be real, fake or on the device `meta`; only their shapes are used.
        loss: Of a live module: takes its outputs, returns a scalar.
        step: Of a live module: the user's own `step(model, inputs)`, recorded as it is.
        accumulate: Of a live module: forwards and backwards before the optimizer's step.
        train: Weigh a whole training step instead of the forward alone.
        optimizer: The name of an optimizer, or, of a live module, the user's own.
        autocast: Dtype of `torch.autocast`.
        batch: Of a SPEC: samples; `sequence`, `image_size`, `dtype`, `attention`, `dropout`, `channels_last`,
            `optimizer_implementation` and `allow_pickle` likewise, as `steelyard annotate --help` has them.
    """

    inputs: Any
    loss: "Callable[[Any], torch.Tensor] | None"
    step: "Callable[[torch.nn.Module, Any], Any] | None"
    accumulate: int
    train: bool
    optimizer: "str | torch.optim.Optimizer"
    autocast: "str | torch.dtype | None"
    batch: int | None
    sequence: int | None
    image_size: int | None
    dtype: str
    attention: str | None
    dropout: bool
    channels_last: bool
    optimizer_implementation: str | None
    allow_pickle: bool


@contextmanager
def opened(model: Model, options: StepOptions) -> "Iterator[tuple[str | LoadedModel, dict[str, Any]]]":
    """Open a model for captures, with the choices of `load_program`; a live module is put back at the end.

    Raises:
        UsageError: An option does not belong to this kind of model.
    """
    choices = cast("dict[str, Any]", dict(options))
    if choices.get("autocast") is not None:
        choices["autocast"] = str(choices["autocast"]).removeprefix("torch.")
    if not choices.get("train") and choices.get("step") is None:
        for name in _TRAINING:
            if choices.get(name):
                raise no_effect(name, _name(model), "only a training step has it", "add --train")
    if isinstance(model, str):
        for name in _LIVE:
            if name in choices:
                raise UsageError(
                    what=f"{name} has no effect on the SPEC {model!r}",
                    fix="give a live module, or leave it out",
                )
        yield model, choices
        return
    import torch

    from steelyard.compiler.frontend.live_model import LiveModel

    if not isinstance(model, torch.nn.Module):
        raise UsageError(
            what=f"a {type(model).__name__} cannot be weighed",
            fix="give a SPEC such as 'hf:gpt2', or a torch.nn.Module",
        )
    if "inputs" not in choices:
        raise UsageError(
            what=f"{type(model).__name__} is given without inputs",
            why="shapes follow from what the module is called with",
            fix="pass inputs=, such as a tensor, a tuple of arguments or a mapping of keyword arguments",
        )
    for name in _OF_A_SPEC:
        if name in choices:
            raise UsageError(
                what=f"{name} has no effect on a live module",
                why="the module and its inputs have their own",
                fix="change the module or inputs=",
            )
    live = {name: choices.pop(name) for name in ("inputs", "loss", "step") if name in choices}
    micro_steps = choices.pop("accumulate", 1)
    train = choices["train"] = choices.get("train", False) or live.get("step") is not None
    if isinstance(choices.get("optimizer"), torch.optim.Optimizer):
        live["optimizer"] = choices.pop("optimizer")
    loaded = LiveModel(module=model, train=train, micro_steps=micro_steps, **live)
    with loaded.lent():
        yield loaded, choices


def _name(model: Model) -> str:
    return model if isinstance(model, str) else type(model).__name__
