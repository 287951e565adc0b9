"""Files that are written whole or not at all."""

import os
import stat
import sys
import tempfile
from pathlib import Path

from steelyard.hw.base.errors import UsageError


def is_stdout(path: Path) -> bool:
    """Whether a path is `-`, which stands for stdout."""
    return path == Path("-")


def write_atomically(path: Path, text: str) -> None:
    """Write a file by way of another beside it: a reader sees the old file or the whole new one.

    A link is followed. A device or a pipe is written to, never replaced; `-` is stdout.

    Raises:
        UsageError: The folder is missing or not writable, or there is no space.
    """
    if is_stdout(path):
        sys.stdout.write(text)
        return
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except OSError as error:
        raise _cannot_write(path, error) from error


def require_writable(path: Path) -> None:
    """Check that a file could be written, before long work whose result it takes.

    Raises:
        UsageError: It could not.
    """
    if is_stdout(path):
        return
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError("it is not writable")
        if target.is_dir():
            raise IsADirectoryError("it is a folder")
        if not target.exists() or target.is_file():
            tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise _cannot_write(path, error) from error


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(what="the file cannot be written", where=str(path), why=error.strerror or str(error))
