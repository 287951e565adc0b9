"""Any model class of transformers: its module, and inputs that its forward accepts."""

# pyright: standard

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any
from unittest import mock

import torch
import transformers
from transformers import PretrainedConfig, masking_utils
from transformers.initialization import no_init_weights

from steelyard.compiler.frontend.adapt.assumptions import assume
from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.catalog.hf_inputs import ExampleInputs, Inputs
from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype
from steelyard.compiler.frontend.torch.capture import fake_tensors
from steelyard.compiler.frontend.torch.fake_module import make_fake
from steelyard.compiler.frontend.torch.known_values import KnownValues, keep_values
from steelyard.compiler.frontend.torch.torch_private import (
    DATA_DEPENDENT,
    active_fake_mode,
    unset_fake_temporarily,
)
from steelyard.compiler.frontend.zoo import Task
from steelyard.hw.base.errors import CaptureError

_MOST_HEADS = 4
"""Heads that are tried before a type is refused."""


def build_module(cls: Any, config: PretrainedConfig, options: CaptureOptions, *, fake: bool) -> Any:
    """Build a model of a class, with random weights or with fake tensors."""
    with quiet(), _without_memory() if fake else nullcontext():
        create = getattr(cls, "_from_config", cls)
        module = create(config, dtype=parse_dtype(options.dtype))
        module.tie_weights()
    if fake:
        make_fake(module)
    return module.train(options.train)


def fit_inputs(
    spec: str, config: PretrainedConfig, heads: list[tuple[Any, str]], options: CaptureOptions
) -> tuple[Any, Task]:
    """Return the first of the classes whose forward accepts inputs that its configuration suggests.

    A forward on fake tensors tells; what it computes from the values of integer inputs is known there.

    Args:
        spec: The SPEC.
        config: The configuration.
        heads: Classes with the tasks they are registered for.
        options: Shapes, dtype and mode.

    Raises:
        CaptureError: None of them does.
    """
    tried: list[str] = []
    for cls, task in heads[:_MOST_HEADS]:
        try:
            inputs = _accepted(cls, config, task, options)
        except Exception as error:
            tried.append(f"{cls.__name__}: {_line(error)}")
            continue
        sentence = f"the model is {cls.__name__} on {_describe(inputs)}"
        return cls, Task((), partial(_given, inputs), sentence=sentence)
    raise CaptureError(
        what=f"no model of {config.model_type!r} takes the inputs that follow from its configuration",
        where=spec,
        why="; ".join(tried) or "transformers registers no class for it",
        fix="write a function that returns the module and its inputs: path/to/file.py:function",
    )


def loss_or_mean(outputs: Any) -> torch.Tensor:
    """The loss of a model, or the sum of the means of its outputs where it has none.

    Raises:
        CaptureError: No output has a gradient.
    """
    loss = getattr(outputs, "loss", None)
    if isinstance(loss, torch.Tensor) and loss.requires_grad:
        return loss.sum() if loss.dim() else loss
    found = {id(each): each for _, each in named_tensors(outputs) if each.requires_grad}
    if not found:
        raise CaptureError(
            what="there is nothing to differentiate", why="no output of the model has a gradient"
        )
    assume("the loss stands in for the model's own: the sum of the means of its outputs")
    means = [(torch.view_as_real(each) if each.is_complex() else each).mean() for each in found.values()]
    return torch.stack([each.float() for each in means]).sum()


def _accepted(cls: Any, config: PretrainedConfig, task: str, options: CaptureOptions) -> Inputs:
    """The first layout of inputs that a forward accepts, as real tensors.

    Raises:
        Exception: The error of the first layout, if none is accepted.
    """
    first: Exception | None = None
    with unset_fake_temporarily(), fake_tensors(), single_sequences(), KnownValues():
        module = build_module(cls, config, options, fake=True)
        mode = active_fake_mode()
        assert mode is not None

        def count_tokens(kind: str, inputs: Inputs) -> int | None:
            with mode:
                return _count_tokens(module, kind, inputs)

        layouts = ExampleInputs(cls, config, task, options).layouts(count_tokens)
        while True:
            with unset_fake_temporarily():
                inputs = next(layouts, None)
            if inputs is None:
                raise first or TypeError("no input of its forward is known")
            try:
                with torch.no_grad():
                    module(**keep_values(inputs))
            except DATA_DEPENDENT:
                return inputs
            except Exception as error:
                first = first or error
            else:
                return inputs


def _count_tokens(module: Any, kind: str, inputs: Inputs) -> int | None:
    """Tokens that a model makes of an image or of sound; None where it has no such step."""
    owners = (module, getattr(module, "model", None), getattr(module, "thinker", None))
    get = next((found for each in owners if (found := getattr(each, f"get_{kind}_features", None))), None)
    if get is None:
        return None
    taken = inspect.signature(get).parameters
    try:
        with torch.no_grad():
            features = get(**{name: each for name, each in keep_values(inputs).items() if name in taken})
    except Exception:
        return None
    projected = getattr(features, "pooler_output", features)
    return sum(math.prod(each.shape[:-1]) for _, each in named_tensors(projected)) or None


def _given(inputs: Inputs, *_: Any) -> Inputs:
    return keep_values(inputs) if active_fake_mode() else inputs


def _describe(inputs: Inputs) -> str:
    return ", ".join(f"{name} {tuple(each.shape)}" for name, each in named_tensors(inputs))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


@contextmanager
def _without_memory() -> Iterator[None]:
    """Build on the meta device, as transformers itself does before it loads weights.

    Not with fake tensors: initialisers may read small tensors that they compute, which exist here.
    """
    with unset_fake_temporarily(), torch.device("meta"), no_init_weights():
        yield


@contextmanager
def single_sequences() -> Iterator[None]:
    """Tell transformers that no sample packs several sequences, which it would read off the positions."""
    with (
        quiet(),
        mock.patch.object(masking_utils, "find_packed_sequence_indices", lambda position_ids: None),
    ):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings that transformers logs."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
