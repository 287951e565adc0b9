"""The options that several verbs share."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from typer import Argument, Option

Device = Annotated[str, Option(help="A name of `steelyard devices list`, or a .toml file.")]

MemoryTimeline = Annotated[
    Path | None,
    Option("--memory-timeline", help="Write what is alive after each allocation to this .csv or .json file."),
]


def _capture(
    spec: Annotated[str, Argument(help="hf:TYPE?key=value, file.py:function, file.pt2 or program.mlir.")],
    train: Annotated[bool, Option("--train", help="A whole training step, not the forward alone.")] = False,
    batch: Annotated[int | None, Option(help="Samples in a step; 1 by default.")] = None,
    sequence: Annotated[
        int | None, Option(help="Tokens in a sample; 128 or the model's limit by default.")
    ] = None,
    image_size: Annotated[int | None, Option(help="Pixels along a side; the model's own by default.")] = None,
    dtype: Annotated[str, Option(help="Of parameters and inputs.")] = "float32",
    attention: Annotated[
        Literal["sdpa", "eager"] | None,
        Option(help="Kernel of attention; the model's own choice by default."),
    ] = None,
    optimizer: Annotated[Literal["adamw", "sgd", "none"], Option(help="Of the training step.")] = "adamw",
    autocast: Annotated[str | None, Option(help="The dtype of torch.autocast; none by default.")] = None,
    dropout: Annotated[
        bool, Option("--dropout", help="Keep dropout; it is off by default, in training too.")
    ] = False,
    allow_pickle: Annotated[
        bool, Option("--allow-pickle", help="Load a .pt2 even where that may run code that it holds.")
    ] = False,
) -> None:
    """What is captured; the signature is all there is to it."""


_SHARED = inspect.signature(_capture).parameters


def with_capture(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options of a capture: it gets them as `spec` and `choices` and names only its own.

    Args:
        command: A function whose first two parameters are `spec` and `choices`, the keyword arguments of
            `runtime.pipeline.load_program`.
    """

    def verb(spec: str, **given: Any) -> None:
        choices = {name: given.pop(name) for name in _SHARED if name != "spec"}
        command(spec, choices, **given)

    own = list(inspect.signature(command).parameters.values())[2:]
    hints = get_type_hints(command, include_extras=True)
    parameters = [*_SHARED.values(), *(each.replace(annotation=hints[each.name]) for each in own)]
    keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters[1:]]
    verb.__name__, verb.__doc__ = command.__name__, command.__doc__
    vars(verb)["__signature__"] = inspect.Signature([parameters[0], *keyword])
    return verb
