"""A clock of three streams: kernels, copies to the host, copies back."""

from collections.abc import Hashable, Iterable


class CopyTimeline:
    """Kernels follow each other, and so do the copies of each direction; all else goes on at once.

    Attributes:
        now_us: When the kernels given so far end.
        waited_us: How long kernels waited for copies.
    """

    def __init__(self) -> None:
        self.now_us = 0.0
        self.stall_us = 0.0
        self._out_us = 0.0
        self._back_us = 0.0
        self._done_us: dict[Hashable, float] = {}

    def run(self, took_us: float, reads: Iterable[Hashable] = ()) -> None:
        """A kernel, which waits for what it reads of values that come back."""
        for value in reads:
            self.wait(value)
        self.now_us += took_us

    def offload(self, copy: Hashable, took_us: float) -> None:
        """A copy to the host starts, known from here on as `copy`."""
        self._out_us = max(self._out_us, self.now_us) + took_us
        self._done_us[copy] = self._out_us

    def fetch(self, value: Hashable, copy: Hashable, took_us: float) -> None:
        """A copy comes back as `value`."""
        self._back_us = max(self._back_us, self.now_us, self._done_us.get(copy, 0.0)) + took_us
        self._done_us[value] = self._back_us

    def wait(self, copied: Hashable) -> None:
        """Kernels go on once a copy is done."""
        self.stall_us += max(0.0, self._done_us.get(copied, 0.0) - self.now_us)
        self.now_us = max(self.now_us, self._done_us.get(copied, 0.0))
