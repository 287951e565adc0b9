"""Live modules as models, captured on fake tensors in place of their weights."""

# pyright: standard

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from steelyard.compiler.frontend.adapt.cuda_on_cpu import CudaOnCpu
from steelyard.compiler.frontend.adapt.default_loss import sum_of_first_output
from steelyard.compiler.frontend.adapt.example_inputs import bind_inputs
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.torch.fake_module import empty_like, make_fake
from steelyard.hw.base.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveModel:
    """A module that the user holds, with example inputs and, where given, the parts of its training step.

    Attributes:
        module: The module.
        inputs: A tensor, a tuple of positional or a mapping of keyword arguments; a batch for `step`.
        train: Training mode, or evaluation mode.
        loss: Takes the module's outputs, returns a scalar; see `sum_of_first_output` for the default.
        optimizer: The user's optimizer; otherwise the options of the capture name one.
        micro_steps: Forwards and backwards before the optimizer's step.
        step: A whole training step `step(module, inputs)`, recorded as it is.
    """

    module: torch.nn.Module
    inputs: Any
    train: bool = False
    loss: Callable[[Any], torch.Tensor] | None = None
    optimizer: torch.optim.Optimizer | None = None
    micro_steps: int = 1
    step: Callable[[torch.nn.Module, Any], Any] | None = None
    _lent: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]], repr=False)

    @property
    def spec(self) -> str:
        """The class of the module."""
        return type(self.module).__name__

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """See `LoadedModel`; with `fake` within `lent` only, without it of copies, which a run may change."""
        self._put_back()
        if fake:
            optimizer = find_optimizer(self.step, self.optimizer)
            tensors = make_fake(self.module)
            if optimizer is not None:
                _make_optimizer_fake(optimizer, tensors)
            return self._built(self.module, tree_map_only(torch.Tensor, _empty, self.inputs), optimizer)
        if self.step is not None:
            raise UsageError(
                what="a step function cannot be run beside the training that it belongs to",
                why="it changes the weights that it closes over",
                fix="give loss and optimizer in place of step",
            )
        torch.manual_seed(seed)
        return self._built(*deepcopy((self.module, self.inputs, self.optimizer)))

    def _built(
        self, module: torch.nn.Module, inputs: Any, optimizer: torch.optim.Optimizer | None
    ) -> BuiltModel:
        module.train(self.train)
        context = CudaOnCpu().during_step
        if self.step is not None:
            step = self.step
            return BuiltModel(
                module,
                {"batch": inputs},
                sum_of_first_output,
                context=context,
                optimizer=optimizer,
                step=lambda: step(module, inputs),
            )
        arguments, num_positional = bind_inputs(module, inputs)
        return BuiltModel(
            module,
            arguments,
            self.loss or sum_of_first_output,
            num_positional=num_positional,
            context=context,
            optimizer=optimizer,
            micro_steps=self.micro_steps,
        )

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Put back all that captures change in the module and its optimizer."""
        optimizer = find_optimizer(self.step, self.optimizer)
        holders: list[Any] = [*self.module.modules()]
        if optimizer is not None:
            holders += [optimizer]
        groups = optimizer.param_groups if optimizer is not None else []
        self._lent.extend(map(_keep, [*map(vars, holders), *groups]))
        # A capture of few layers that is given up leaves them with classes of its own.
        self._lent.extend(partial(setattr, each, "__class__", type(each)) for each in holders)
        try:
            yield
        finally:
            self._put_back()
            self._lent.clear()

    def _put_back(self) -> None:
        for restore in self._lent:
            restore()


def _keep(attributes: dict[str, Any]) -> Callable[[], None]:
    """Remember a dictionary and the containers in it; what is returned puts them back."""
    before = dict(attributes)
    inner = {id(each): (each, each.copy()) for each in before.values() if isinstance(each, (dict, list, set))}

    def restore() -> None:
        for container, content in inner.values():
            container.clear()
            container.extend(content) if isinstance(container, list) else container.update(content)
        attributes.clear()
        attributes.update(before)

    return restore


def find_optimizer(
    step: Callable[..., Any] | None, given: torch.optim.Optimizer | None
) -> torch.optim.Optimizer | None:
    """The optimizer given, or the one that a step function closes over.

    Raises:
        UsageError: There are several.
    """
    if given is not None or step is None or not inspect.isfunction(step):
        return given
    names = inspect.getclosurevars(step)
    values = [*names.nonlocals.values(), *names.globals.values()]
    found = {id(each): each for each in values if isinstance(each, torch.optim.Optimizer)}
    if len(found) > 1:
        raise UsageError(
            what=f"{step.__name__} uses {len(found)} optimizers",
            why="which of them the step runs is not known",
            fix="give the one to weigh as `optimizer`",
        )
    return next(iter(found.values()), None)


def _make_optimizer_fake(optimizer: torch.optim.Optimizer, made: dict[int, torch.Tensor]) -> None:
    """Let an optimizer hold the fake parameters and state like its own."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if any(id(p) not in made for p in parameters):
        raise UsageError(
            what=f"the {type(optimizer).__name__} holds parameters that the module has not",
            fix="give the optimizer that was made of this module's parameters",
        )
    for group in optimizer.param_groups:
        group["params"] = [made[id(p)] for p in group["params"]]
    state: dict[torch.Tensor, Any] = {
        made[id(p)]: tree_map_only(torch.Tensor, _empty, dict(kept)) for p, kept in optimizer.state.items()
    }
    optimizer.state.clear()
    optimizer.state.update(state)


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    return empty_like(tensor).requires_grad_(tensor.requires_grad)
