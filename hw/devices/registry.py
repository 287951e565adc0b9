"""The registry of devices: the user's folders first, then the files that ship with Steelyard."""

import os
import re
from functools import lru_cache
from pathlib import Path

from steelyard.hw.base.errors import DeviceError, did_you_mean
from steelyard.hw.devices.device import Device

DEVICE_PATH_VARIABLE = "STEELYARD_DEVICE_PATH"
_SHIPPED = Path(__file__).parent
_MAKERS = ("nvidia", "tesla", "geforce", "amd", "instinct", "intel", "google")
"""Words that people write before the name of a device, and that no name has."""


def load_device(name_or_path: str | Path) -> Device:
    """Return the device with this name, or the one that a `.toml` file describes; read once until it changes.

    Args:
        name_or_path: A name as `device_names` gives it, in any case and with any separators, or the beginning
            of only one; or the path of a file that ends in ".toml".

    Raises:
        DeviceError: There is no such device, or its file is wrong.
    """
    path = _path(str(name_or_path))
    try:
        found = path.stat()
        return _read(path, (found.st_ino, found.st_size, found.st_mtime_ns))
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(what="a device file cannot be read", where=str(path), why=str(error)) from error


@lru_cache
def _read(path: Path, version: tuple[int, int, int]) -> Device:
    """The device of a file; `version` is another one when the file was written anew."""
    from steelyard.hw.devices.schema import parse_device  # pydantic is loaded only when a file is read

    return parse_device(path.read_text(encoding="utf-8"), str(path))


def device_names() -> list[str]:
    """Return the names of all devices that `load_device` finds, sorted."""
    return sorted(_files())


def _path(name_or_path: str) -> Path:
    if name_or_path.endswith(".toml"):
        return Path(name_or_path)
    files = _files()
    if name_or_path in files:
        return files[name_or_path]
    head, *others = _words(name_or_path) or [""]
    alike = [name for name in sorted(files) if "".join(_words(name)) == "".join([head, *others])]
    kin = [name for name in sorted(files) if _words(name)[:1] == [head]]
    found = alike or [name for name in kin if all(_is_part(word, name) for word in others)]
    if len(found) == 1:
        return files[found[0]]
    if found:
        raise DeviceError(
            what=f"{name_or_path!r} may be {len(found)} devices",
            why="they differ in memory, bandwidth or power",
            fix=f"say which: {', '.join(found)}",
        )
    raise DeviceError(
        what=f"there is no device named {name_or_path!r}",
        why=f"{len(files)} devices are known, from {', '.join(map(str, _folders()))}",
        fix=did_you_mean("-".join([head, *others]), kin or files),
    )


def _words(name: str) -> list[str]:
    return [word for word in re.findall(r"[a-z0-9]+", name.lower()) if word not in _MAKERS]


def _is_part(given: str, name: str) -> bool:
    """Whether a word says what a name says, which may be shorter or longer: `sxm4` and `sxm`."""
    return any(word.startswith(given) or given.startswith(word) for word in _words(name)[1:])


def _files() -> dict[str, Path]:
    return {path.stem: path for folder in reversed(_folders()) for path in folder.glob("*.toml")}


def _folders() -> list[Path]:
    """Return where devices are looked for; the first wins."""
    user = os.environ.get(DEVICE_PATH_VARIABLE, "").split(os.pathsep)
    return [*(Path(folder) for folder in user if folder), _SHIPPED]
