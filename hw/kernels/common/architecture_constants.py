"""Constants that hold for a family of devices: `hw/kernels/<table>.toml`, by type and architecture."""

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_model import Coefficients


def family_coefficients(table: str | Path, dtype: DType, architecture: str) -> Coefficients:
    """Return the constants of one table for a type and an architecture.

    A table has an entry `[<dtype>.<architecture>]` for each family that was fitted and `[<dtype>.any]` for
    all others; an entry `like = "ampere"` takes that one's. The table is a name below `hw/kernels`, or the
    path of the file.

    Raises:
        DeviceError: The table has nothing for the type.
    """
    name = table if isinstance(table, Path) else Path("hw", "kernels", f"{table}.toml")
    types = _table(table)
    by_architecture = types.get(dtype)
    if by_architecture is None:
        raise DeviceError(
            what=f"no {name.stem} in {dtype} was fitted on any device",
            why=f"{name} knows {', '.join(key for key in types if key != 'sources')}",
            fix="choose one of these types",
        )
    entry = by_architecture.get(architecture, by_architecture["any"])
    while "like" in entry:
        entry = by_architecture[entry["like"]]
    return cast(Coefficients, entry)


@cache
def _table(name: str | Path) -> dict[str, Any]:
    file = name if isinstance(name, Path) else files("steelyard.hw.kernels") / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
