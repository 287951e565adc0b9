"""Running a module tree with only some blocks of its stacks, and seeing that the others would do alike."""

# pyright: standard

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from steelyard.compiler.blocks.block_values import LayersDiffer
from steelyard.compiler.frontend.torch.stacks import LayerStack, same_value
from steelyard.compiler.frontend.torch.torch_private import WeakIdRef


class StackRun:
    """One run of the blocks of a stack; the code around them runs as ever, and calls all of them.

    Of the blocks between the third and the last but one, a call returns what the third block returned. It
    is checked that all are called once and in order, each with what the one before it returned and otherwise
    with the same arguments, that nothing is computed between them, and that no block reads what is not
    the same in all, such as its number.

    Args:
        stack: The blocks, whose `forward` is replaced.
        now: Counts the ops dispatched so far.
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
        for number in stack.kept[1:-1]:
            for path, names in stack.varying.items():
                _watch(stack.blocks[number].get_submodule(path), names)

    def finish(self) -> None:
        """Check that all blocks have run, or none.

        Raises:
            Irregular: Some have not.
        """
        if self._next not in (0, len(self._stack.blocks)):
            raise LayersDiffer

    def _call(self, number: int, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._check(number, args, kwargs)
        if number not in self._stack.kept:
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
        """A tensor that the block before returned is the n-th of its results; all else is itself."""
        if not isinstance(leaf, torch.Tensor):
            return leaf
        reference = WeakIdRef(leaf)
        return ("result", self._made.index(reference)) if reference in self._made else leaf


def _watch(module: torch.nn.Module, names: frozenset[str]) -> None:
    """Let the reading of some attributes of a module end the run."""

    def refuse(module: torch.nn.Module) -> Any:
        raise LayersDiffer

    def write(name: str, module: torch.nn.Module, value: Any) -> None:
        vars(module)[name] = value

    cls = type(module)
    # Named as the class itself, which some libraries look up by name.
    named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    watched = {name: property(refuse, partial(write, name)) for name in names}
    module.__class__ = type(cls.__name__, (cls,), {**named, **watched})
