"""Tensors inside nested containers and objects, by name."""

# pyright: standard

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch


def named_tensors(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors in a value, each with its dotted path under `name`.

    Containers are mappings, sequences, named tuples, and objects by their attributes (dataclasses,
    distributions). A container inside itself is left out.
    """
    return _named(value, name, frozenset())


def _named(value: Any, name: str, outer: frozenset[int]) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name or "output", value
        return
    if id(value) in outer:
        return
    for key, item in _items(value):
        yield from _named(item, f"{name}.{key}" if name else str(key), outer | {id(value)})


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, (list, tuple, deque)):
        return zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    if isinstance(value, (torch.nn.Module, type)):
        return ()
    return _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object, public ones first; a tensor under two names has the first of them."""
    slots = (name for each in type(value).__mro__ for name in _slot_names(each) if hasattr(value, name))
    names = sorted(
        {**getattr(value, "__dict__", {}), **dict.fromkeys(slots)}, key=lambda n: n.startswith("_")
    )
    seen = set[int]()
    for name in names:
        item = getattr(value, name)
        if isinstance(item, torch.Tensor) and id(item) in seen:
            continue
        seen.add(id(item))
        yield name, item


def _slot_names(cls: type) -> Iterable[str]:
    """The slots that a class written in Python declares."""
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots
