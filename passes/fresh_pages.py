"""Which ops of a step on a CPU write to pages that the operating system has to supply first."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.allocations import allocations
from steelyard.compiler.call_graph import call_graph
from steelyard.compiler.dialects.program import PHASE, ROLE, argument_texts, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.op_call import CallReader
from steelyard.compiler.op_signature import op_signature
from steelyard.hw.allocators.glibc import Chunk, GlibcHeap

_STEPS = 3
_PINNED_BYTES = 256


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
    asked = [event for event in allocations(module, workspace) if event.bytes]
    events = [event for event in asked if event.at]
    roles = argument_texts(call_graph(module).entry, ROLE)
    pinning = _pinning((event.at[-1] for event in events), workspace)
    heap, alive, found = GlibcHeap(), dict[int, Chunk](), Counter[Operation]()
    for event in asked:
        if not event.at and roles[event.storage] == "optimizer_state":  # made with a gradient as large
            heap.free(heap.malloc(event.bytes))
    for _ in range(_STEPS):
        found.clear()
        for event in events:
            if event.at[-1] in pinning:
                pinning.remove(event.at[-1])
                heap.pin(_PINNED_BYTES)
            if event.bytes > 0:
                before = heap.fresh_bytes
                alive[event.storage] = heap.malloc(event.bytes)
                found[event.at[-1]] += heap.fresh_bytes - before
            elif event.storage in alive:
                heap.free(alive.pop(event.storage))
        for chunk in alive.values():
            heap.free(chunk)
        alive.clear()
    return +found


def _pinning(ops: Iterable[Operation], workspace: Callable[[Operation], int]) -> set[Operation]:
    """Return the ops that leave something small in the heap for good when they first run.

    Those are the first of the backward pass, for which autograd starts its engine, and the first with each
    kernel that oneDNN makes code for and keeps; they take workspace as well.
    """
    reader, first = CallReader(), dict[str, Operation]()
    for op in ops:
        if text_attribute(op, PHASE) == "backward":
            first.setdefault("autograd", op)
        if isinstance(op, TorchOp) and workspace(op):
            first.setdefault(op_signature(op, reader), op)
    return set(first.values())
