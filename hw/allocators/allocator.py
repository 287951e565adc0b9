"""Protocol of allocator models: serve requests for bytes as the real allocator would, and count them."""

from dataclasses import dataclass
from typing import Protocol

from steelyard.hw.base.errors import SteelyardError


class OutOfMemory(SteelyardError):
    """A request that does not fit, even after every cached block was returned to the device."""


@dataclass(slots=True)
class Usage:
    """Bytes in use now, and their peaks.

    Attributes:
        requested: Bytes of live requests.
        allocated: Bytes of the blocks that serve them, rounded by the allocator's rules.
        reserved: Bytes taken from the device: blocks in use, cached blocks and gaps.
        peak_requested: The peak of `requested`; the other peaks likewise, each at its own time.
    """

    requested: int = 0
    allocated: int = 0
    reserved: int = 0
    peak_requested: int = 0
    peak_allocated: int = 0
    peak_reserved: int = 0

    def count(self, requested: int = 0, allocated: int = 0, reserved: int = 0) -> None:
        """Add to each, and raise the peaks."""
        self.requested += requested
        self.allocated += allocated
        self.reserved += reserved
        self.peak_requested = max(self.peak_requested, self.requested)
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        self.peak_reserved = max(self.peak_reserved, self.reserved)


class Allocator(Protocol):
    """An allocator that serves requests in order; `malloc` returns the number that identifies a request."""

    @property
    def usage(self) -> Usage:
        """Bytes in use now, and their peaks."""
        ...

    def malloc(self, size_bytes: int) -> int:
        """Serve a request.

        Raises:
            OutOfMemory: The request exceeds the capacity that is left.
        """
        ...

    def free(self, request: int) -> None:
        """Free the block of a request.

        Raises:
            KeyError: There is no such live request.
        """
        ...
