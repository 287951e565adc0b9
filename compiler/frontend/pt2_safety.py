"""Safety check of `.pt2` archives: reject contents that could run code when loaded."""

# pyright: standard

import io
import json
import operator
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

_OPERATORS = frozenset(
    [
        "getitem",
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "neg",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ]
).intersection(dir(operator))
_TARGET = re.compile(
    r"torch\.ops\.(?P<namespace>[a-z]\w*)\.[a-z_]\w*(\.[A-Za-z]\w*)?|torch\.sym_\w+"
    r"|_operator\.(?P<operator>\w+)"
)
# Expressions of symbolic shapes are given to eval: only numbers, symbols and functions of sympy.
_EXPRESSION = re.compile(r"(?!.*__)(?:[suz]f?\d+|[A-Z]\w*|\d+(?:\.\d+)?|[-+*/%(),<>=&|~ ])*")


def find_danger(archive: zipfile.ZipFile) -> str | None:
    """Return the first content of an exported archive that could run code when loaded; None if it is safe."""
    return next(_dangers(archive), None)


def _dangers(archive: zipfile.ZipFile) -> Iterator[str]:
    names = archive.namelist()
    if not any(name.endswith("/archive_format") for name in names):
        yield "it has the layout of torch before 2.8, which holds pickles"
    for name in names:
        if "/data/aotinductor/" in name:
            yield f"{name} is compiled code"
        elif name.endswith(".json"):
            yield from _dangers_of_values(name, json.loads(archive.read(name)))
        elif name.endswith(".pt") and not _loads_as_tensors(archive.read(name)):
            yield f"{name} is a pickle of more than tensors"


def _loads_as_tensors(data: bytes) -> bool:
    if not data:
        return True
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:
        # torch.export falls back to the unsafe loader here.
        return False
    return True


def _dangers_of_values(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _dangers_of_values(name, item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "use_pickle" and item:
            yield f"{name} asks for a pickle"
        elif key == "target" and isinstance(item, str) and not _is_op(item):
            yield f"{name} calls {item!r}"
        elif key == "expr_str" and not _EXPRESSION.fullmatch(str(item)):
            yield f"{name} evaluates {item!r}"
        else:
            yield from _dangers_of_values(name, item)


def _is_op(target: str) -> bool:
    match = _TARGET.fullmatch(target)
    if match is None or "__" in target:
        return False
    if match["operator"]:
        return match["operator"] in _OPERATORS
    return not hasattr(type(torch.ops), match["namespace"] or "")
