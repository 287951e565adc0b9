"""Which ops of a step on a CPU write to pages that the operating system has to supply first."""

from collections import Counter
from collections.abc import Callable, Mapping

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.allocations import allocations
from steelyard.hw.allocators.glibc import Chunk, GlibcHeap

_STEPS = 3
_PINNED_BYTES = 256
_PINNED_EVERY = 64
"""In the first step, at one in so many events, something small comes to stay at the top of the heap: a kernel
that a library has chosen, a name, a node. Which ones do was not observed. Between 32 and 512, the pages of a
step hardly depend on it; with nothing that stays they come out two to five times what they are."""


def fresh_bytes(module: ModuleOp, workspace: Callable[[Operation], int]) -> Mapping[Operation, int]:
    """Return the bytes of fresh pages that each op gets in a step, once steps are alike.

    The allocations of a step are played through a heap that starts empty, since what models are made of was
    mapped before; what a step returns is dropped after it. An op that runs many times gets the sum.

    Args:
        module: A program.
        workspace: Bytes that the kernel of an op takes while it runs.

    Raises:
        IRError: The module is no program, or its types cannot be read.
    """
    events = [event for event in allocations(module, workspace) if event.at and event.bytes]
    heap, alive, found = GlibcHeap(), dict[int, Chunk](), Counter[Operation]()
    for step in range(_STEPS):
        found.clear()
        for number, event in enumerate(events):
            if event.bytes > 0:
                before = heap.fresh_bytes
                alive[event.storage] = heap.malloc(event.bytes)
                found[event.at[-1]] += heap.fresh_bytes - before
            elif event.storage in alive:
                heap.free(alive.pop(event.storage))
            if step == 0 and number % _PINNED_EVERY == 0:
                heap.pin(_PINNED_BYTES)
        for chunk in alive.values():
            heap.free(chunk)
        alive.clear()
    return +found
