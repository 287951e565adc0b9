"""Processes of a program's ranks: over loopback alone, none left behind, the one at fault named."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import current_thread, main_thread
from time import monotonic, sleep

from steelyard.hw.base.errors import ExecutionError

_PR_SET_PDEATHSIG = 1
_PARENT = "STEELYARD_PARENT"
_POLL_S = 0.05
_GRACE_S = 2.0
"""Time in which the cause of a failure shows: a rank that waits for another may end before it."""

FAILED_COLLECTIVE = "a collective did not complete"


@dataclass(slots=True)
class _Rank:
    number: int
    process: subprocess.Popen[bytes]
    folder: Path
    stopped_since_s: float | None = field(default=None)

    @property
    def cause(self) -> str | None:
        """The one-line cause of a failure; None while it runs or where it succeeded."""
        code = self.process.poll()
        if not code:
            return None
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        told = error_file(self.folder, self.number)
        if told.exists():
            return json.loads(told.read_text(encoding="utf-8"))
        lines = log_file(self.folder, self.number).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), f"it ended with {code}")

    @property
    def is_stopped(self) -> bool:
        """Whether the process is stopped by a signal or a debugger (Linux)."""
        try:
            state = (
                Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            )
        except OSError:
            return False
        return state[0] in ("T", "t")


def error_file(folder: Path, rank: int) -> Path:
    """The file in which a rank leaves the cause of its failure, as JSON text."""
    return folder / f"rank-{rank}.json"


def log_file(folder: Path, rank: int) -> Path:
    """The file of all that a rank prints."""
    return folder / f"rank-{rank}.log"


def report_file(folder: Path) -> Path:
    """The file in which rank 0 leaves the report."""
    return folder / "report.json"


def rendezvous(folder: Path) -> str:
    """The address by which the ranks find each other: a file in a folder that only this user reads."""
    return f"file://{folder / 'rendezvous'}"


def end_with_parent() -> None:
    """Let this rank be killed when the process that started it ends, however it does (Linux: prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(os.environ[_PARENT]):
            raise SystemExit(1)


def run_ranks(arguments: Sequence[str], ranks: int, folder: Path, threads: int, timeout_s: float) -> None:
    """Run one process a rank until all have ended; end all of them if one fails.

    They talk over the loopback interface. They end with this process, whatever ends it.

    Args:
        arguments: Those of Python.
        ranks: Number of processes. Each is told its `RANK`.
        folder: Private; takes logs and causes.
        threads: Threads of each.
        timeout_s: Time after which a rank that is stopped counts as failed.

    Raises:
        ExecutionError: a rank failed, was ended or is stopped; it is named, with the cause.
    """
    with _ended_with_us():
        started: list[_Rank] = []
        try:
            for number in range(ranks):
                started.append(_Rank(number, _start(arguments, number, folder, threads), folder))
            while any(rank.process.poll() is None for rank in started):
                if any(rank.process.poll() for rank in started) or _is_stalled(started, timeout_s):
                    break
                sleep(_POLL_S)
            if failed := _failed(started):
                raise failed
        finally:
            for rank in started:
                with suppress(ProcessLookupError):
                    os.killpg(rank.process.pid, signal.SIGKILL)
                rank.process.wait()


def _start(arguments: Sequence[str], rank: int, folder: Path, threads: int) -> subprocess.Popen[bytes]:
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "RANK": str(rank),
        "GLOO_SOCKET_IFNAME": loopback,
        _PARENT: str(os.getpid()),
    }
    with log_file(folder, rank).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for this process, which ends them.
            start_new_session=True,
        )


def _is_stalled(ranks: Sequence[_Rank], timeout_s: float) -> bool:
    for rank in ranks:
        if not rank.is_stopped:
            rank.stopped_since_s = None
        elif rank.stopped_since_s is None:
            rank.stopped_since_s = monotonic()
        elif monotonic() - rank.stopped_since_s > timeout_s:
            return True
    return False


def _failed(ranks: Sequence[_Rank]) -> ExecutionError | None:
    """The rank at fault: one that is stopped or that failed by itself, rather than one that waited for it."""
    end_s = monotonic() + _GRACE_S
    while True:
        causes = {rank.number: rank.cause for rank in ranks if rank.cause}
        causes |= {rank.number: "it is stopped, and others wait for it" for rank in ranks if rank.is_stopped}
        by_itself = {number: cause for number, cause in causes.items() if FAILED_COLLECTIVE not in cause}
        if by_itself or not causes or monotonic() > end_s:
            break
        sleep(_POLL_S)
    if not causes:
        return None
    number, cause = next(iter((by_itself or causes).items()))
    waited = next((text for each, text in causes.items() if each != number), None)
    return ExecutionError(
        what=f"rank {number} of {len(ranks)} failed",
        why=f"{cause}; {waited}" if waited and FAILED_COLLECTIVE in waited else cause,
    )


@contextmanager
def _ended_with_us() -> Generator[None]:
    """Turn SIGTERM into an exit that cleans up; Python takes signals in the main thread alone."""
    if current_thread() is not main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
