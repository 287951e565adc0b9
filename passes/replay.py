"""A program's allocations, served by the model of an allocator."""

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Operation

from steelyard.compiler.allocations import Allocation
from steelyard.hw.allocators.allocator import Allocator, OutOfMemory


@dataclass(frozen=True, slots=True)
class Moment:
    """Bytes in use once an event is served, and where: the calls that lead to the op, then the op."""

    at: tuple[Operation, ...]
    requested: int
    allocated: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What an allocator held while a program ran.

    Attributes:
        moments: One for each event that was served, in order.
        failed: Why the next one could not be served; None if all were.
        failed_at: Where that was.
    """

    moments: tuple[Moment, ...]
    failed: OutOfMemory | None = None
    failed_at: tuple[Operation, ...] = ()

    @property
    def peak(self) -> Moment:
        """The moment at which most is allocated."""
        return max(self.moments, key=lambda moment: moment.allocated)

    @property
    def peak_reserved(self) -> int:
        """The most that was taken from the device."""
        return max(moment.reserved for moment in self.moments)


def replay(steps: Sequence[Sequence[Allocation]], allocator: Allocator) -> Replay:
    """Serve what a program asks for, up to the first request that does not fit.

    Args:
        steps: What each run asks for; see `steelyard.compiler.allocations`. What was an argument of one run
            is there in the next, what it returned is given back. A later run finds the blocks of an earlier
            one in the cache.
        allocator: A new one.
    """
    held: dict[int, int] = {}
    moments: list[Moment] = []
    resident = {event.storage for event in steps[-1] if not event.at}
    for events in steps:
        for event in events:
            if event.storage in held and event.storage in resident:
                continue
            try:
                if event.bytes < 0:
                    allocator.free(held.pop(event.storage))
                else:
                    held[event.storage] = allocator.malloc(event.bytes)
            except OutOfMemory as error:
                return Replay(tuple(moments), error, event.at)
            usage = allocator.usage
            moments.append(Moment(event.at, usage.requested, usage.allocated, usage.reserved))
        for storage in held.keys() - resident:
            allocator.free(held.pop(storage))
    return Replay(tuple(moments))
