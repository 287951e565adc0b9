"""Constants that hold for a family of devices: `hw/kernels/<table>.toml`, by type and architecture."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, cast

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_model import Coefficients


def family_coefficients(table: str, dtype: DType, architecture: str) -> Coefficients:
    """Return the constants of one table for a type and an architecture.

    A table has an entry `[<dtype>.<architecture>]` for each family that was fitted and `[<dtype>.any]` for
    all others; an entry `like = "ampere"` takes that one's.

    Raises:
        DeviceError: The table has nothing for the type.
    """
    types = _table(table)
    by_architecture = types.get(dtype)
    if by_architecture is None:
        raise DeviceError(
            what=f"no {table.split('/')[1]} in {dtype} was fitted on any device",
            why=f"hw/kernels/{table}.toml knows {', '.join(key for key in types if key != 'sources')}",
            fix="choose one of these types",
        )
    entry = by_architecture.get(architecture, by_architecture["any"])
    while "like" in entry:
        entry = by_architecture[entry["like"]]
    return cast(Coefficients, entry)


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((files("steelyard.hw.kernels") / f"{name}.toml").read_text(encoding="utf-8"))
