"""The registry of devices: the user's folders first, then the files that ship with Steelyard."""

import os
from functools import lru_cache
from pathlib import Path

from steelyard.hw.base.errors import DeviceError, did_you_mean
from steelyard.hw.devices.device import Device

DEVICE_PATH_VARIABLE = "STEELYARD_DEVICE_PATH"
_SHIPPED = Path(__file__).parent


def load_device(name_or_path: str | Path) -> Device:
    """Return the device with this name, or the one that a `.toml` file describes; read once until it changes.

    Args:
        name_or_path: A name as `device_names` gives it, or the path of a file that ends in ".toml".

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
    if name_or_path not in files:
        raise DeviceError(
            what=f"there is no device named {name_or_path!r}",
            why=f"{len(files)} devices are known, from {', '.join(map(str, _folders()))}",
            fix=did_you_mean(name_or_path, files),
        )
    return files[name_or_path]


def _files() -> dict[str, Path]:
    return {path.stem: path for folder in reversed(_folders()) for path in folder.glob("*.toml")}


def _folders() -> list[Path]:
    """Return where devices are looked for; the first wins."""
    user = os.environ.get(DEVICE_PATH_VARIABLE, "").split(os.pathsep)
    return [*(Path(folder) for folder in user if folder), _SHIPPED]
