"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path

from steelyard.hw.base.errors import UsageError


def write_atomically(path: Path, text: str) -> None:
    """Write a file by way of another beside it: a reader sees the old file or the whole new one.

    Raises:
        UsageError: The folder is missing or not writable.
    """
    try:
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
    except OSError as error:
        raise UsageError(what="the file cannot be written", where=str(path), why=str(error)) from error
