"""One command on one input, in this process, under limits of time and memory."""

import faulthandler
import io
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 20
GROWTH_BYTES = 10**9

Check = Callable[[str], str | None]
"""Finds what an output says and cannot be."""


@dataclass(frozen=True, slots=True)
class Case:
    """An input: files for the current folder, and the arguments of the command that reads them."""

    files: Mapping[str, bytes]
    arguments: tuple[str, ...]


class TooLong(BaseException):
    """The limit of time; no handler of the product takes it."""


def attempt(main: Callable[[list[str]], object], case: Case, check: Check) -> tuple[bool, str | None]:
    """Run a command and say whether it accepted the input, and the fault if it has one."""
    for name, content in case.files.items():
        Path(name).write_bytes(content)
    before = _reset_peak_bytes()
    # Time of the CPU: what other processes take is no fault. The wall's is for what waits, or is in C.
    signal.signal(signal.SIGPROF, _ring)
    faulthandler.dump_traceback_later(10 * LIMIT_S, exit=True)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        code, out, err = _run(main, case.arguments)
        fault = _fault_of(code, err) or (check(out) if code == 0 else None)
    except TooLong:
        return False, f"it takes more than {LIMIT_S} s"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    grown = _peak_bytes() - before
    if not fault and grown > GROWTH_BYTES:
        fault = f"it takes {grown / 1e9:.1f} GB"
    return code == 0, fault


def _run(main: Callable[[list[str]], object], arguments: Sequence[str]) -> tuple[object, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True) for _ in "oe")
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(arguments))
        except SystemExit as leaving:
            code = leaving.code or 0
        except Exception as error:
            code, place = "traceback", _deepest(error)
            err.write(f"{type(error).__name__} at {place}: {error}")
    stdout, stderr = (stream.buffer.getvalue().decode() for stream in (out, err))
    return code, stdout, stderr


def _fault_of(code: object, err: str) -> str | None:
    if code in (0, 1, 2, 3) and "Traceback" not in err and (code == 0 or err):
        return None
    return f"exit {code}: {err.strip()[:500] or 'no message'}"


def _deepest(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"


def _ring(*_: object) -> None:
    raise TooLong


def _reset_peak_bytes() -> int:
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    """The largest resident set since it was reset; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
