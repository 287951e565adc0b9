"""Reference kernels of machine drift: some of the microbenchmarks of `calibrate`.

Run as a program with a number of threads, it answers each line on stdin with the seconds of each kernel by
name, as a line of JSON.
"""

# pyright: standard

import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from time import sleep

from steelyard.hw.base.errors import DeviceError
from steelyard.runtime.microbenchmarks.suite import all_probes
from steelyard.runtime.timing.interleaved_rounds import time_among_others
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.microbench import threads_set_to

REFERENCES = slice(3, None, 7)
"""Every seventh microbenchmark of `calibrate`: nearly all kinds, and small enough to hold beside a model."""

_SETTLED_S = 0.01
"""OpenMP's threads spin for some ms after a kernel, and stop those of another process for 4 or 8 ms."""


class References:
    """The reference kernels in a separate process, which leaves this process's heap unchanged.

    Args:
        threads: Number of threads.
    """

    def __init__(self, threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "References":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self._process.communicate()  # its input ends, and so does it

    def times_s(self) -> dict[str, float]:
        """Return the current seconds of each kernel by name, while the threads of both processes idle.

        Raises:
            DeviceError: The process ended.
        """
        assert self._process.stdin and self._process.stdout
        sleep(_SETTLED_S)
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        sleep(_SETTLED_S)
        if not answer:
            raise DeviceError(
                what="the reference kernels for the drift of this machine cannot be timed",
                why=f"their process ended with code {self._process.wait()}; what it said is above",
                fix="free memory, since they need 1 GiB, or take a device file without references_per_s",
            )
        return json.loads(answer)


def _answer(requests: Iterable[str]) -> None:
    """Write the times of the reference kernels, a line of JSON for each request."""
    held = [(probe, probe.operands(), probe.operands()) for probe in list(all_probes())[REFERENCES]]

    def times_s() -> dict[str, float]:
        time_among_others(*held[0])  # wakes the threads
        # Results are kept for the while, as where `calibrate` times them.
        timed = [time_among_others(*each) for each in held]
        return {probe.name: time_s for (probe, *_), (_, time_s) in zip(held, timed, strict=True)}

    times_s()  # the first get fresh pages
    for _ in requests:
        sys.stdout.write(f"{json.dumps(times_s())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with threads_set_to(int(sys.argv[1])), memory_kept():
        _answer(sys.stdin)
