"""Failures of a command: one message on stderr and an exit code, whatever happened."""

import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from pathlib import Path

from steelyard.hw.base.errors import SteelyardError

USAGE, INTERNAL, INTERRUPTED = 2, 70, 130

_NO_MEMORY = (
    "error: out of memory\n  fix: take a smaller --batch, --sequence or model, or a machine with more memory"
)


@contextmanager
def reported(command: Sequence[str]) -> Generator[None]:
    """Turn what is raised inside into a message and an exit.

    2: usage or bad input, or the system refused something. 70: an internal error, with a reproducer file.
    130: interrupted.

    Args:
        command: The command line with its program, for the reproducer.

    Raises:
        SystemExit: something was raised.
    """
    _buffer_stdout()
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # closed by whoever started this
                sys.stdout.flush()
    except SystemExit as leaving:
        # Typer has turned an interrupt into this.
        if leaving.code == INTERRUPTED:
            sys.stderr.write("interrupted\n")
        raise
    except SteelyardError as error:
        _leave(USAGE, f"error: {error}")
    except MemoryError:
        _leave(USAGE, _NO_MEMORY)
    except KeyboardInterrupt:
        _leave(INTERRUPTED, "interrupted")
    except BrokenPipeError:
        # Whoever read has enough, as `head` does.
        _discard_stdout()
        raise SystemExit(1) from None
    except OSError as error:
        _discard_stdout()
        at = f"\n  at: {error.filename}" if error.filename else ""
        _leave(USAGE, f"error: the system refused to go on{at}\n  why: {error.strerror or error}")
    except Exception as error:
        if "can't allocate memory" in str(error):  # torch raises a RuntimeError
            _leave(USAGE, _NO_MEMORY)
        path = _write_reproducer(command)
        _leave(
            INTERNAL,
            f"error: internal: {type(error).__name__}: {error}\n"
            f"  why: this is a bug of Steelyard, not of your input\n"
            f"  fix: report it with {path}, which holds the command and the traceback",
        )


def _buffer_stdout() -> None:
    """Put a buffer before a raw stdout (PYTHONUNBUFFERED), which drops what a full disk does not take."""
    out = sys.stdout
    if out is sys.__stdout__ and isinstance(raw := getattr(out, "buffer", None), RawIOBase):
        sys.stdout = TextIOWrapper(BufferedWriter(raw), encoding=out.encoding, line_buffering=True)


def _discard_stdout() -> None:
    """Keep Python from writing what is left again when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(code: int, message: str) -> None:
    sys.stderr.write(message + "\n")
    raise SystemExit(code)


def _write_reproducer(command: Sequence[str]) -> Path:
    handle, name = tempfile.mkstemp(prefix="steelyard-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(f"{shlex.join(command)}\n\n{traceback.format_exc()}")
    return Path(name)
