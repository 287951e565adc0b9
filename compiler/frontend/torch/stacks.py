"""Layer stacks: lists of equal modules in a module tree, such as the layers of a transformer."""

# pyright: standard

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

FEWEST = 6
"""Length of the shortest stack: two layers at each end, one example, and one copy."""

_PLAIN = (
    *(int, float, complex, bool, str, bytes, type(None)),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)
_TREE = ("_parameters", "_buffers", "_modules")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class LayerStack:
    """A list of layers, equal except for the first and the last.

    Attributes:
        path: Path of the list.
        blocks: The layers in order.
        varying: Attributes that differ between equal layers, such as the layer's index: module path inside
            the layer to the names of its attributes.
    """

    path: str
    blocks: tuple[torch.nn.Module, ...]
    varying: Mapping[str, frozenset[str]]

    @property
    def captured(self) -> tuple[int, ...]:
        """Indices of the layers that run; all others are instances of the third one."""
        count = len(self.blocks)
        return 0, 1, 2, count - 2, count - 1


def find_stacks(root: torch.nn.Module) -> list[LayerStack]:
    """The outermost lists of equal layers.

    Equal are modules of one class with equal children, parameters and buffers, none of them shared.
    """
    owners = Counter(id(item) for module in root.modules() for item in _owned(module))
    stacks: list[LayerStack] = []
    for path, module in root.named_modules():
        inside = any(path.startswith(prefix_of(stack.path)) for stack in stacks)
        stack = None if inside else _make_stack(module, path, owners)
        if stack:
            stacks.append(stack)
    return stacks


def prefix_of(path: str) -> str:
    """The prefix of the paths of everything inside a module."""
    return f"{path}." if path else ""


def same_value(first: Any, second: Any) -> bool:
    """Whether two values are the same object, or equal numbers, names or collections of such."""
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, _PLAIN):
        return first == second
    if isinstance(first, Mapping):
        return [*first] == [*second] and all(same_value(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same_value, first, second))
    if isinstance(first, (set, frozenset)):
        return first == second and all(isinstance(item, _PLAIN) for item in first)
    return False


def _make_stack(container: torch.nn.Module, path: str, owners: Counter[int]) -> LayerStack | None:
    blocks = tuple(container.children())
    if len(blocks) < FEWEST or [*container._modules] != [str(n) for n in range(len(blocks))]:
        return None
    first, *others = blocks[1:-1]
    if type(first).forward is torch.nn.Module.forward or not _is_apart(first, owners):
        return None
    varying: dict[str, set[str]] = {}
    if not all(_is_apart(other, owners) and _is_alike(first, other, "", varying) for other in others):
        return None
    return LayerStack(path, blocks, {inner: frozenset(names) for inner, names in varying.items()})


def _is_apart(block: torch.nn.Module, owners: Counter[int]) -> bool:
    """Whether every module and tensor of a layer has a single owner."""
    return all(owners[id(item)] == 1 for module in block.modules() for item in (module, *_owned(module)))


def _owned(module: torch.nn.Module) -> list[Any]:
    items = (*module._parameters.values(), *module._buffers.values(), *module._modules.values())
    return [item for item in items if item is not None]


def _is_alike(
    first: torch.nn.Module, other: torch.nn.Module, path: str, varying: dict[str, set[str]]
) -> bool:
    """Compare two modules; differing attributes are added to `varying`."""
    if type(first) is not type(other) or [*first._modules] != [*other._modules]:
        return False
    for mine, theirs in ((first._parameters, other._parameters), (first._buffers, other._buffers)):
        if [*mine] != [*theirs] or not all(map(_has_same_layout, mine.values(), theirs.values())):
            return False
    mine, theirs = vars(first), vars(other)
    for name in mine.keys() | theirs.keys():
        if name not in _TREE and not same_value(mine.get(name, _MISSING), theirs.get(name, _MISSING)):
            varying.setdefault(path, set()).add(name)
    for name, child in first._modules.items():
        counterpart = other._modules[name]
        if child is None or counterpart is None:
            if child is not counterpart:
                return False
        elif not _is_alike(child, counterpart, prefix_of(path) + name, varying):
            return False
    return True


def _has_same_layout(first: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if first is None or other is None:
        return first is other
    return (
        type(first) is type(other)
        and (first.shape, first.stride(), first.dtype) == (other.shape, other.stride(), other.dtype)
        and first.requires_grad == other.requires_grad
    )
