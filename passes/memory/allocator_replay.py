"""A program's allocations, served by the model of an allocator."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.ir import Operation

from steelyard.compiler.analysis.allocation_trace import Allocation
from steelyard.hw.allocators.allocator import Allocator, OutOfMemory

Steps = Sequence[Sequence[Allocation]]


@dataclass(frozen=True, slots=True)
class Moment:
    """Bytes in use once an event is served, and where: the calls that lead to the op, then the op."""

    at: tuple[Operation, ...]
    requested: int
    allocated: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Replay:
    """Replay of a program's allocations on an allocator model.

    Attributes:
        moments: One for each event of `requests` that was served, in order.
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


def requests(steps: Steps) -> Iterator[Allocation]:
    """Yield what several runs of a program ask an allocator for.

    What was an argument of one run is there in the next; what a run returned is given back after it.

    Args:
        steps: What each run asks for; see `steelyard.compiler.analysis.allocation_trace`.
    """
    resident = {event.storage for event in steps[-1] if not event.at}
    held: dict[int, int] = {}
    for events in steps:
        for event in events:
            if event.storage in held and event.storage in resident:
                continue
            if event.bytes < 0:
                del held[event.storage]
            else:
                held[event.storage] = event.bytes
            yield event
        for storage in held.keys() - resident:
            yield Allocation(storage, -held.pop(storage), ())


def replay(steps: Steps, allocator: Allocator) -> Replay:
    """Serve what a program asks for, up to the first request that does not fit.

    Args:
        steps: What each run asks for; a later run finds the blocks of an earlier one in the cache.
        allocator: A new one.
    """
    held: dict[int, int] = {}
    moments: list[Moment] = []
    for event in requests(steps):
        try:
            if event.storage in held:
                allocator.free(held.pop(event.storage))
            else:
                held[event.storage] = allocator.malloc(event.bytes)
        except OutOfMemory as error:
            return Replay(tuple(moments), error, event.at)
        usage = allocator.usage
        moments.append(Moment(event.at, usage.requested, usage.allocated, usage.reserved))
    return Replay(tuple(moments))
