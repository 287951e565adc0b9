"""What an allocator model is: it serves requests for bytes as the real one would, and counts."""

from dataclasses import dataclass
from typing import Protocol

from steelyard.hw.base.errors import SteelyardError


class OutOfMemory(SteelyardError):
    """A request that the device cannot serve, even after all that is cached was given back."""


@dataclass(slots=True)
class Usage:
    """Bytes now and at the most.

    Attributes:
        requested: What was asked for and not given back.
        allocated: The blocks that hold it, rounded by the allocator's rules.
        reserved: What the allocator took from the device: blocks in use, cached blocks and gaps.
        peak_requested: The most of `requested`; the other peaks likewise, each at its own time.
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
    """Serves requests one after the other; a request is known by the number that `malloc` returns."""

    @property
    def usage(self) -> Usage:
        """Bytes now and at the most."""
        ...

    def malloc(self, size_bytes: int) -> int:
        """Serve a request.

        Raises:
            OutOfMemory: The capacity does not suffice.
        """
        ...

    def free(self, request: int) -> None:
        """Give a request's block back.

        Raises:
            KeyError: There is no such request, or it was given back already.
        """
        ...
