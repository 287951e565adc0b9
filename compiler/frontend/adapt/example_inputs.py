"""Example inputs as arguments of a module's `forward`."""

# pyright: standard

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from steelyard.hw.base.errors import CaptureError

_Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def bind_inputs(module: torch.nn.Module, inputs: Any) -> tuple[dict[str, Any], int]:
    """Name the example inputs of a module by the parameters of its `forward`.

    A tuple or list holds positional arguments and a mapping keyword arguments; where they do not fit, a tuple
    and a mapping are `(args, kwargs)`. Anything else, and what fits in neither way, is the only argument.

    Returns:
        The arguments by name, those passed by position first, and how many these are. The name of one that
        `*args` takes is `args.0`.

    Raises:
        CaptureError: They do not fit.
    """
    signature = _signature(module)
    errors: list[TypeError] = []
    for args, kwargs in _readings(inputs):
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            errors.append(error)
        else:
            return {**dict(zip(_names(signature), args, strict=False)), **kwargs}, len(args)
    raise CaptureError(
        what=f"the example inputs do not fit {type(module).__name__}.forward",
        why=f"{errors[0]}; it is forward{signature}",
    ) from errors[0]


def _signature(module: torch.nn.Module) -> inspect.Signature:
    """The signature of a `forward`; of the wrapped module's, where the wrapper hands everything on."""
    while isinstance(module, torch.nn.DataParallel) or hasattr(module, "_orig_mod"):
        wrapped = module.module if isinstance(module, torch.nn.DataParallel) else module._orig_mod
        assert isinstance(wrapped, torch.nn.Module)
        module = wrapped
    try:
        return inspect.signature(module.forward)
    except ValueError:  # TorchScript has none
        return inspect.signature(lambda *args, **kwargs: None)


def _readings(inputs: Any) -> Iterator[_Arguments]:
    """The ways to read example inputs, the most likely first."""
    if isinstance(inputs, Mapping) and all(isinstance(key, str) for key in inputs):
        yield (), dict(inputs)
    if isinstance(inputs, (tuple, list)) and not hasattr(inputs, "_fields"):
        yield tuple(inputs), {}
        if len(inputs) == 2 and isinstance(inputs[0], tuple) and isinstance(inputs[1], Mapping):
            yield inputs[0], dict(inputs[1])
    yield (inputs,), {}
    if isinstance(inputs, tuple):
        yield tuple(inputs), {}


def _names(signature: inspect.Signature) -> Iterator[str]:
    """The names of arguments that are passed by position."""
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            index = 0
            while True:
                yield f"{parameter.name}.{index}"
                index += 1
        yield parameter.name
