"""Options shared by several verbs."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from typer import Argument, Option

from steelyard.compiler.frontend.options import torch_name

Device = Annotated[
    str, Option(help="Device: a name from `steelyard devices list`, or a .toml file; h100-sxm, for example.")
]

MemoryTimeline = Annotated[
    Path | None,
    Option("--memory-timeline", help="Write live bytes after each allocation to this .csv or .json file."),
]


_SPEC = "A model: llama-3.1-8b, hf:gpt2?n_layer=4, file.py:function, file.pt2, program.mlir; - for stdin."


def _capture(
    spec: Annotated[str, Argument(help=_SPEC)],
    train: Annotated[
        bool, Option("--train", help="Capture a whole training step instead of the forward alone.")
    ] = False,
    batch: Annotated[
        int | None, Option("--batch", "--batch-size", "--bs", help="Samples per step; 1 by default.")
    ] = None,
    sequence: Annotated[
        int | None,
        Option(
            "--sequence",
            "--seq",
            "--seq-len",
            "--sequence-length",
            help="Tokens per sample; 128 or the model's limit by default.",
        ),
    ] = None,
    image_size: Annotated[
        int | None, Option(help="Image height and width in pixels; the model's own by default.")
    ] = None,
    dtype: Annotated[
        str | None,
        Option(
            parser=torch_name,
            metavar="DTYPE",
            help="Dtype of parameters and inputs, such as bf16 or float16; float32 by default.",
        ),
    ] = None,
    attention: Annotated[
        Literal["sdpa", "eager"] | None,
        Option(help="Attention implementation; the model's own by default."),
    ] = None,
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd", "rmsprop", "adagrad", "none"] | None,
        Option(help="Optimizer of the training step; adamw by default, SGD with momentum."),
    ] = None,
    optimizer_implementation: Annotated[
        Literal["fused", "foreach", "for-loop"] | None,
        Option(
            help="Implementation of the optimizer; fused by default. torch.optim takes foreach on a GPU "
            "unless told `fused=True`; it needs more memory at its peak."
        ),
    ] = None,
    autocast: Annotated[
        str | None,
        Option(
            parser=torch_name,
            metavar="DTYPE",
            help="Dtype of torch.autocast, such as bf16; off by default.",
        ),
    ] = None,
    dropout: Annotated[
        bool, Option("--dropout", help="Keep the model's dropout, which is off by default even in training.")
    ] = False,
    channels_last: Annotated[
        bool, Option("--channels-last", help="Lay images and their weights out with channels last.")
    ] = False,
    allow_pickle: Annotated[
        bool, Option("--allow-pickle", help="Load a .pt2 even if that may run code inside it.")
    ] = False,
) -> None:
    """Options of a capture; only the signature is used."""


_SHARED = inspect.signature(_capture).parameters


def with_capture(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a verb with the options of a capture, which it receives as `spec` and `choices`.

    Args:
        command: A function whose first two parameters are `spec` and `choices`: what was given of the
            keyword arguments of `runtime.program.load.load_program`.
    """

    def verb(spec: str, **given: Any) -> None:
        chosen = {name: given.pop(name) for name in _SHARED if name != "spec"}
        choices = {name: value for name, value in chosen.items() if value is not None and value is not False}
        command(spec, choices, **given)

    own = list(inspect.signature(command).parameters.values())[2:]
    hints = get_type_hints(command, include_extras=True)
    parameters = [*_SHARED.values(), *(each.replace(annotation=hints[each.name]) for each in own)]
    keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters[1:]]
    verb.__name__, verb.__doc__ = command.__name__, command.__doc__
    vars(verb)["__signature__"] = inspect.Signature([parameters[0], *keyword])
    return verb
