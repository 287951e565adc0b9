"""The table of presets: configurations of well-known models."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True)
class Preset:
    """A published configuration.

    Attributes:
        repository: Where it is published on huggingface.co, as `owner/name`.
        parameters: The published number of parameters.
        config: Its keys, as in `config.json`.
    """

    repository: str
    parameters: int
    config: dict[str, Any]


@cache
def presets() -> dict[str, Preset]:
    """Return all presets, by name."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: Preset(**entry) for name, entry in table.items()}


def preset_of(repository: str) -> Preset | None:
    """Return the preset that was taken from a repository, in any case; None if there is none."""
    wanted = repository.lower()
    return next((each for each in presets().values() if each.repository.lower() == wanted), None)
