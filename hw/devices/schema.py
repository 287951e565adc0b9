"""Reading a device file: TOML in, a `Device` out, or one error that lists every fault of the file."""

import re
import tomllib
from dataclasses import fields
from datetime import date
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from steelyard.hw.base.errors import DeviceError, UsageError, did_you_mean
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.base.units import parse_bytes
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Fit, Residual
from steelyard.hw.devices.learned_models import Accuracy, Learned, Regressor
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.plausibility import find_implausible


class _Sources(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sources: dict[str, Source]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")  # also holds for the dataclasses inside
    device: Device


def parse_device(text: str, where: str) -> Device:
    """Return the device that the text of a device file describes.

    Args:
        text: TOML; see docs/howto/add-a-device.md.
        where: The path to name in an error.

    Raises:
        DeviceError: The text is no TOML, breaks the schema or has figures that cannot be; every fault is
            listed.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeviceError(what="a device file is not valid TOML", where=where, why=str(error)) from error
    except RecursionError as error:
        why = "it is nested too deeply"
        raise DeviceError(what="a device file is not valid TOML", where=where, why=why) from error
    given = raw.pop("sources", {})
    faults: list[str] = []
    try:
        sources = _Sources.model_validate({"sources": given}).sources
    except ValidationError as error:
        # Stand-ins, so that the faults of the numbers are found beside those of the sources.
        names = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        sources = {name: Source(title="", date=date.min) for name in names}
        faults += [_fault(details, sources) for details in error.errors()]
    try:
        file = _File.model_validate({"device": _resolved(raw, sources)})
    except ValidationError as error:
        faults += [_fault(details, sources) for details in error.errors()]
    else:
        faults += find_implausible(file.device)
        if not faults:
            return file.device
    raise DeviceError(
        what=f"a device file has {len(faults)} fault{'s' * (len(faults) > 1)}",
        where=where,
        why="\n".join(faults),
        fix="docs/howto/add-a-device.md explains every key",
    )


def _resolved(node: Any, sources: dict[str, Source], key: str = "") -> Any:
    """Return the tree with sources in place of their names, and bytes in place of sizes like "80 GiB"."""
    if isinstance(node, list):
        return [_resolved(child, sources) for child in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    tree = {name: _resolved(child, sources, name) for name, child in cast("dict[str, Any]", node).items()}
    if isinstance(tree.get("source"), str):
        tree["source"] = sources.get(tree["source"], tree["source"])
    if key.endswith("_bytes") and isinstance(tree.get("value"), str):
        try:
            tree["value"] = parse_bytes(tree["value"])
        except UsageError:
            return tree  # left to be reported together with the other faults
    return tree


def _fault(details: Any, sources: dict[str, Source]) -> str:
    loc: tuple[str | int, ...] = details["loc"]
    path = ".".join(str(part) for part in loc if part not in ("device", "[key]"))
    given: Any = details["input"]
    match details["type"], loc[-1]:
        case "unexpected_keyword_argument" | "extra_forbidden", key:
            return f"{path}: unknown key; {did_you_mean(str(key), _known_keys(loc))}"
        case "missing", _:
            return f"{path}: missing"
        case "literal_error", _:
            choices = re.findall("'([^']+)'", details["ctx"]["expected"])
            return f"{path}: {given!r} is not allowed; {did_you_mean(str(given), choices)}"
        case "dataclass_type", "source":
            return f"{path}: no source is named {given!r}; {did_you_mean(str(given), sources)}"
        case "dataclass_type", _:
            return f'{path}: write it as {{ value = {given!r}, kind = "...", source = "..." }}'
        case "value_error", _:
            return f"{path}: {details['ctx']['error']}"
        case _:
            return f"{path}: {details['msg']}, not {given!r}"


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    if loc[0] == "sources":
        kinds: tuple[type, ...] = (Source,)
    elif len(loc) == 2:
        kinds = (Device,)
    elif loc[1] == "sustained" and len(loc) == 4:
        kinds = (MeasuredRates,)
    elif loc[1] == "fitted":
        kinds = (Fit, Residual, ErrorBand)
    elif loc[1] == "learned":
        kinds = (Learned, Regressor, Accuracy, ErrorBand)
    else:
        kinds = (Quantity, Rate)
    return sorted({each.name for kind in kinds for each in fields(kind)})
