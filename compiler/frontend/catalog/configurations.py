"""Configurations of transformers: a model type, a preset, a `config.json` or a cached repository.

Nothing here imports transformers or torch, so that a mistyped name is found at once.
"""

# pyright: standard

import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from steelyard.compiler.frontend.catalog.presets import preset_of, presets
from steelyard.compiler.frontend.catalog.query import split_query
from steelyard.hw.base.errors import CaptureError, did_you_mean

_FILE = "config.json"
_ALIASES = {"resnet-50": "resnet"}
_TYPE_FILES = ("auto_mappings.py", "configuration_auto.py")
_NO_SIZES = ("architectures", "transformers_version", "auto_map", "_name_or_path")
"""Keys of a `config.json` that are not passed on to the class of configurations."""


@dataclass(frozen=True, slots=True)
class HuggingFaceSpec:
    """A transformers model type, a published configuration of it, and changes to that.

    Attributes:
        model_type: A key of transformers' `CONFIG_MAPPING`.
        overrides: Changes by key; `text_config.num_hidden_layers` reaches inside.
        base: Keys of the configuration that the changes apply to; the type's defaults where it has none.
    """

    model_type: str
    overrides: dict[str, Any]
    base: dict[str, Any] = field(default_factory=dict)


def is_configuration(text: str) -> bool:
    """Whether a SPEC without `hf:` names a configuration: a preset, a `config.json` or a folder with one."""
    name = text.partition("?")[0]
    return name in presets() or Path(name).name == _FILE or (Path(name) / _FILE).is_file()


def parse_huggingface(text: str) -> HuggingFaceSpec:
    """Resolve `hf:NAME?key=value&...`, or a SPEC that `is_configuration` accepts.

    Raises:
        CaptureError: There is no such configuration, or it cannot be read.
    """
    name, overrides = split_query(text.removeprefix("hf:"))
    name = _ALIASES.get(name, name)
    types = model_types()
    if text.startswith("hf:") and (types is None or name in types):
        return HuggingFaceSpec(name, overrides)
    return _from_config(text, _find_config(text, name), overrides)


def _from_config(text: str, config: dict[str, Any], overrides: dict[str, Any]) -> HuggingFaceSpec:
    base = {key: value for key, value in config.items() if key not in _NO_SIZES}
    model_type = base.pop("model_type", None)
    if not isinstance(model_type, str):
        raise CaptureError(
            what=f"the configuration of {text!r} has no model_type", fix="add the key to the file"
        )
    types = model_types()
    if types is not None and model_type not in types:
        raise CaptureError(
            what=f"the configuration of {text!r} is of the type {model_type!r}",
            why="transformers has no model of that type",
            fix="write a function that returns the module and its inputs: path/to/file.py:function",
        )
    named = {"architectures": config["architectures"]} if config.get("architectures") else {}
    return HuggingFaceSpec(model_type, named | overrides, base)


def _find_config(text: str, name: str) -> dict[str, Any]:
    if name in presets():
        return presets()[name].config
    path = Path(name)
    if path.name == _FILE or path.is_dir():
        return _read(path if path.name == _FILE else path / _FILE)
    if name.count("/") == 1:
        return _from_hub(name)
    raise CaptureError(
        what=f"unknown model type {name!r}",
        where=text,
        fix=did_you_mean(name, {*(model_types() or ()), *presets()}),
    )


def _from_hub(repository: str) -> dict[str, Any]:
    """The configuration in the hub's local cache, or the preset of that repository; nothing is downloaded."""
    from huggingface_hub import constants, try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(repository, _FILE)
    except ValueError as error:
        raise CaptureError(what=f"{repository!r} is no name of a repository", why=str(error)) from error
    if isinstance(cached, str):
        return _read(Path(cached))
    if preset := preset_of(repository):
        return preset.config
    raise CaptureError(
        what=f"the configuration of {repository!r} is not on this machine",
        why=f"it is neither in {constants.HF_HUB_CACHE} nor a preset, and nothing is downloaded here",
        fix=f"fetch it with: hf download {repository} {_FILE}",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CaptureError(what="a configuration cannot be read", where=str(path), why=str(error)) from error
    if not isinstance(found, dict):
        raise CaptureError(
            what="a configuration cannot be read", where=str(path), why="it is not a table of keys and values"
        )
    return found


@cache
def model_types() -> frozenset[str] | None:
    """Return the model types that transformers (5.20 to 5.24) lists; None if they cannot be read.

    Its tables are read as text, since importing them imports torch.
    """
    package = find_spec("transformers")
    if package is None or not package.submodule_search_locations:
        return None
    folder = Path(package.submodule_search_locations[0], "models", "auto")
    texts = [path.read_text(encoding="utf-8") for name in _TYPE_FILES if (path := folder / name).is_file()]
    pairs = re.findall(r'"([\w.-]+)"(?:,|:) "\w+Config"', "".join(texts))
    return frozenset(pairs) or None
