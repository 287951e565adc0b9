"""Checked copies of `.pt2` archives: only members and values that cannot run code when torch loads them."""

# pyright: standard

import io
import json
import operator
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
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
    r"torch\.ops\.aten\.(?P<dunder>__i?(?:and|or|xor|lshift|rshift)__)(\.[A-Za-z]\w*)?"
    r"|torch\.ops\.(?P<namespace>[a-z]\w*)\.[a-z_]\w*(\.[A-Za-z]\w*)?|torch\.sym_\w+"
    r"|_operator\.(?P<operator>\w+)"
)
# Expressions of symbolic shapes are given to eval: only numbers, symbols and functions of sympy.
_EXPRESSION = re.compile(
    r"(?!.*__)(?:'[suz]f?\d+'|[suz]f?\d+|[a-z]+=(?:True|False)|[A-Z]\w*|\d+(?:\.\d+)?|[-+*/%(),<>=&|~ ])*"
)
# Names become Python code, by which torch runs the graph: no calls, quotes or assignments.
_NAME = re.compile(r"[\w.+:/-]*")
_TEXT = re.compile(r"[^'\"\\\r\n]*")
GRAPH = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_MEMBER = re.compile(
    r"archive_format|archive_version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/version|\.data/serialization_id"
    rf"|{re.escape(GRAPH)}|{re.escape(_SAMPLES)}"
    r"|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)"
)
"""What `torch.export.save` writes since 2.8, below the archive's folder (pt2_archive/constants.py)."""

_METADATA = ("nn_module_stack", "stack_trace")
"""Metadata of nodes that torch takes as text; the rest is left out of the copy."""


class UnsafeArchiveError(Exception):
    """Content of an archive that could run code, or take more than its own size, when it is loaded."""


def write_checked_copy(source: Path, copy: Path) -> None:
    """Copy an exported archive member by member, so that torch reads what was checked and nothing else.

    Guards on inputs are left out, since torch executes them as Python, and so is metadata that is not needed.

    Args:
        source: What `torch.export.save` wrote.
        copy: A new archive.

    Raises:
        UnsafeArchiveError: it holds something else.
        zipfile.BadZipFile: it is damaged; likewise OSError and ValueError.
    """
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(copy, "w") as written:
        members = archive.infolist()
        for danger in _dangers_of_members(members, source.stat().st_size):
            raise UnsafeArchiveError(danger)
        for member in members:
            name = member.filename.partition("/")[2]
            # Under a name of the archive's own torch looks members up.
            with archive.open(member) as old, written.open(f"model/{name}", "w", force_zip64=True) as new:
                if name.endswith(".json"):
                    new.write(_checked_json(name, old.read()))
                elif name == _SAMPLES:
                    new.write(_checked_tensors(name, old.read()))
                else:
                    shutil.copyfileobj(old, new)


def _dangers_of_members(members: list[zipfile.ZipInfo], size: int) -> Iterator[str]:
    names = [member.filename for member in members]
    if not any(name.endswith("/archive_format") for name in names):
        yield "it has the layout of torch before 2.8, which holds pickles"
    if len({name.partition("/")[0] for name in names}) > 1:
        yield "its members lie in more than one folder"
    for name in names:
        if not _MEMBER.fullmatch(name.partition("/")[2]):
            yield f"torch.export.save writes no member {name!r} that holds tensors only"
    if len(set(names)) < len(names):
        yield "two of its members have the same name"
    yield from _dangers_of_sizes(members, size)


def _dangers_of_sizes(members: list[zipfile.ZipInfo], size: int) -> Iterator[str]:
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            yield f"{member.filename} is compressed, which torch.export.save does not do"
    # Stored members that overlap are a bomb as well.
    if (inside := sum(member.file_size for member in members)) > size:
        yield f"its members claim {inside} bytes, the file has {size}"


def _checked_tensors(name: str, data: bytes) -> bytes:
    if data:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for danger in _dangers_of_sizes(archive.infolist(), len(data)):
                    raise UnsafeArchiveError(f"{name}: {danger}")
            torch.load(io.BytesIO(data), weights_only=True)
        except UnsafeArchiveError:
            raise
        except Exception as error:
            # torch.export falls back to the unsafe loader here.
            raise UnsafeArchiveError(f"{name} is a pickle of more than tensors") from error
    return data


def _checked_json(name: str, data: bytes) -> bytes:
    value = json.loads(data)
    if isinstance(value, dict) and "guards_code" in value:
        value["guards_code"] = []
    for danger in _dangers(name, value):
        raise UnsafeArchiveError(danger)
    return json.dumps(value).encode()


def _dangers(name: str, value: Any, key: str = "") -> Iterator[str]:
    """Yield what must not be in a value, and take out of it what is not needed."""
    match value:
        case list():
            for item in value:
                yield from _dangers(name, item, key)
        case dict():
            if isinstance(texts := value.get("metadata"), dict):
                value["metadata"] = {each: str(texts[each]) for each in _METADATA if texts.get(each)}
            for inner, item in value.items():
                if not _NAME.fullmatch(inner):
                    yield f"{name} names {inner!r}"
                elif inner == "use_pickle" and item:
                    yield f"{name} asks for a pickle"
                elif inner != "metadata":
                    yield from _dangers(name, item, inner)
        case str() if not _is_safe(key, value):
            yield f"{name} has the {key or 'text'} {value[:200]!r}"
        case _:
            pass


def _is_safe(key: str, text: str) -> bool:
    match key:
        case "target":
            return _is_op(text)
        case "expr_str":
            return bool(_EXPRESSION.fullmatch(text))
        case "in_spec" | "out_spec":
            return not text or _is_tree_spec(json.loads(text))
        case "as_string" | "as_strings":
            return bool(_TEXT.fullmatch(text))
        case _:
            return bool(_NAME.fullmatch(text))


def _is_tree_spec(value: Any) -> bool:
    """Whether the structure of inputs or outputs has plain keys, and no factory that torch would import."""
    match value:
        case {"type": str(kind), "context": context, **rest}:
            plain = kind != "collections.defaultdict" and bool(_NAME.fullmatch(kind))
            known = context is None or _is_plain(json.loads(context))
            return plain and known and all(map(_is_tree_spec, rest.values()))
        case list():
            return all(map(_is_tree_spec, value))
        case dict():
            return all(map(_is_tree_spec, value.values()))
        case _:
            return value is None or isinstance(value, int)


def _is_plain(value: Any) -> bool:
    match value:
        case dict():
            return all(map(_is_plain, [*value, *value.values()]))
        case list():
            return all(map(_is_plain, value))
        case str():
            return bool(_NAME.fullmatch(value))
        case _:
            return True


def _is_op(target: str) -> bool:
    match = _TARGET.fullmatch(target)
    if match is None or ("__" in target and not match["dunder"]):
        return False
    if match["operator"]:
        return match["operator"] in _OPERATORS
    return not hasattr(type(torch.ops), match["namespace"] or "")
