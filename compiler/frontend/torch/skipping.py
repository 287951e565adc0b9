"""Layer skipping: run only some layers of each stack, and check that the others would do the same."""

# pyright: standard

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from steelyard.compiler.blocks.layer_values import LayersDiffer
from steelyard.compiler.frontend.torch.stacks import LayerStack, same_value
from steelyard.compiler.frontend.torch.torch_private import WeakIdRef


class StackRun:
    """One run of a stack in which the layers between the third and the last but one are skipped.

    The code around the stack runs unchanged and calls every layer; a skipped one returns the results of the
    third. Checked: layers are called once and in order; each takes the results of the one before it, and
    otherwise the same arguments; no op runs between them; no layer reads an attribute that varies, such as
    its index.

    Args:
        stack: The layers, whose `forward` is replaced.
        now: Returns the number of ops dispatched so far.
    """

    def __init__(self, stack: LayerStack, now: Callable[[], int]) -> None:
        self._stack = stack
        self._now = now
        self._next = 0
        self._made: list[Any] = []
        self._arguments: tuple[Any, list[Any]] = None, []
        self._held: Any = None
        self._time = 0
        for number, block in enumerate(stack.blocks):
            block.forward = wraps(block.forward)(partial(self._call, number, block.forward))
        for number in stack.captured[1:-1]:
            for path, names in stack.varying.items():
                _watch(stack.blocks[number].get_submodule(path), names)

    def finish(self) -> None:
        """Check that all layers have run, or none.

        Raises:
            LayersDiffer: Only some have run.
        """
        if self._next not in (0, len(self._stack.blocks)):
            raise LayersDiffer

    def _call(self, number: int, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._check(number, args, kwargs)
        if number not in self._stack.captured:
            return self._skip(number)
        result = forward(*args, **kwargs)
        self._made = [WeakIdRef(leaf) for leaf in tree_flatten(result)[0] if isinstance(leaf, torch.Tensor)]
        if number == 2:
            self._held, self._time = result, self._now()
        return result

    def _skip(self, number: int) -> Any:
        result = self._held
        if number == len(self._stack.blocks) - 3:
            self._held = None
        return result

    def _check(self, number: int, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        if number != self._next:
            raise LayersDiffer
        self._next += 1
        if not 2 <= number <= len(self._stack.blocks) - 2:
            return
        leaves, tree = tree_flatten((args, kwargs))
        arguments = tree, [*map(self._describe, leaves)]
        if number == 2:
            self._arguments = arguments
            return
        is_same = arguments[0] == self._arguments[0] and same_value(arguments[1], self._arguments[1])
        if not is_same or self._now() != self._time:
            raise LayersDiffer
        if number == len(self._stack.blocks) - 2:
            self._arguments = None, []

    def _describe(self, leaf: Any) -> Any:
        """A result of the previous layer as its index among the results; any other value as itself."""
        if not isinstance(leaf, torch.Tensor):
            return leaf
        reference = WeakIdRef(leaf)
        return ("result", self._made.index(reference)) if reference in self._made else leaf


def _watch(module: torch.nn.Module, names: frozenset[str]) -> None:
    """Make reading some attributes of a module raise `LayersDiffer`."""

    def refuse(module: torch.nn.Module) -> Any:
        raise LayersDiffer

    def write(name: str, module: torch.nn.Module, value: Any) -> None:
        vars(module)[name] = value

    cls = type(module)
    # Named as the class itself, which some libraries look up by name.
    named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    watched = {name: property(refuse, partial(write, name)) for name in names}
    module.__class__ = type(cls.__name__, (cls,), {**named, **watched})
