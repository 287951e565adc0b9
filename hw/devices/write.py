"""Writing a device file: the inverse of `schema.parse_device`, for whatever measures a device."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import cast

from steelyard.hw.base.atomic_file import write_atomically
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.base.units import GIB, MIB
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Fit, Residual
from steelyard.hw.devices.learned_models import Accuracy, Learned, Regressor
from steelyard.hw.devices.measured_rates import MeasuredRates

_Part = Fit | Residual | ErrorBand | Learned | Regressor | Accuracy


def write_device(path: str | Path, device: Device) -> None:
    """Write the file of a device, whole or not at all.

    Raises:
        UsageError: The folder does not exist or cannot be written to.
    """
    write_atomically(Path(path), dump_device(device))


def dump_device(device: Device) -> str:
    """Return the text of a device's file; `parse_device` of it equals `device`."""
    names = _source_names([*(quantity.source for _, quantity in device.quantities()), *_fit_sources(device)])
    lines = _table("", _items(device), names)
    for source, name in names.items():
        lines += ["", f"[sources.{name}]", f"title = {_text(source.title)}"]
        lines += [f"url = {_text(source.url)}"] * bool(source.url)
        lines += [f"date = {source.date.isoformat()}"]
    return "\n".join(lines) + "\n"


def _items(node: Device | MeasuredRates | _Part) -> Mapping[str, object]:
    return {each.name: getattr(node, each.name) for each in fields(node)}


def _fit_sources(device: Device) -> list[Source]:
    fits = [fit for types in device.fitted.values() for modes in types.values() for fit in modes.values()]
    learned = [found for types in device.learned.values() for found in types.values()]
    return [each.source for each in (*fits, *learned)]


def _table(header: str, items: Mapping[str, object], names: Mapping[Source, str]) -> list[str]:
    """Return the lines of one table: its own values, which must come first, then the tables inside it."""
    lines: list[str] = []
    inner: list[str] = []
    for key, value in items.items():
        path = f"{header}.{key}" if header else key
        if isinstance(value, str | int | float):
            lines.append(f"{key} = {_text(value) if isinstance(value, str) else _plain(value)}")
        elif isinstance(value, Source):
            lines.append(f"{key} = {_text(names[value])}")
        elif isinstance(value, Quantity | Rate):
            lines.append(f"{_key(key)} = {_inline(key, value, names)}")
        elif isinstance(value, Mapping):
            table = _table(path, cast("Mapping[str, object]", value), names)
            # A table that only holds tables needs no line of its own.
            own = ["", f"[{path}]"] if table and table[0] else []
            inner += own + table
        elif isinstance(value, _Part):
            inner += ["", f"[{path}]", *_table(path, _items(value), names)]
        elif isinstance(value, tuple) and key == "sustained":
            for entry in cast("tuple[MeasuredRates, ...]", value):
                inner += ["", f"[[{path}]]", *_table(path, _items(entry), names)]
        elif isinstance(value, tuple):
            lines.append(f"{key} = {_list(cast('tuple[object, ...]', value))}")
    return lines + inner


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _text(key)


def _list(values: tuple[object, ...]) -> str:
    if values and isinstance(values[0], tuple):  # a table of its own, a row a line
        rows = (f"    {_list(cast('tuple[object, ...]', value))}," for value in values)
        return "\n".join(["[", *rows, "]"])
    return f"[{', '.join(_text(value) if isinstance(value, str) else _plain(value) for value in values)}]"


def _plain(number: object) -> str:
    if isinstance(number, int):
        return str(number)
    text = repr(number)
    return text.removesuffix(".0")


def _inline(key: str, quantity: Quantity | Rate, names: Mapping[Source, str]) -> str:
    parts: list[str] = []
    if quantity.value is not None:
        parts.append(
            f"value = {_size(quantity.value) if key.endswith('_bytes') else _number(quantity.value)}"
        )
    elif quantity.curve:
        points = (f"[{_number(amount)}, {_number(rate)}]" for amount, rate in quantity.curve)
        parts.append(f"curve = [{', '.join(points)}]")
    parts += [f'kind = "{quantity.kind}"', f'source = "{names[quantity.source]}"']
    parts += [f"note = {_text(quantity.note)}"] * bool(quantity.note)
    return f"{{ {', '.join(parts)} }}"


def _source_names(sources: Iterable[Source]) -> dict[Source, str]:
    names: dict[Source, str] = {}
    for source in sources:
        if source in names:
            continue
        name = re.sub("[^a-z0-9]+", "-", source.title.lower()).strip("-")
        names[source] = name if name not in names.values() else f"{name}-{len(names)}"
    return names


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(number: float) -> str:
    """Return the shortest text that reads back as exactly this number, large ones as in "989.4e12"."""
    text = repr(float(number)).removesuffix(".0")
    return Decimal(text).normalize().to_eng_string().replace("E+", "e") if abs(number) >= 1e5 else text


def _size(size_bytes: float) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if size_bytes % unit == 0:
            return f'"{int(size_bytes) // unit} {name}"'
    return _number(size_bytes)
