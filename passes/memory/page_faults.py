"""Page faults of a step on a CPU: results so large that malloc maps new pages for each of them."""

from collections.abc import Mapping

from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.hw.allocators.cpu import MAPPED_FROM_BYTES


def mapped_bytes(program: Analyses) -> Mapping[Operation, int]:
    """Return the bytes of new pages that one run of an op gets for its results; ops that get none are absent.

    A block of 32 MiB or more is mapped anew, and its first touch faults on every page. Smaller ones come from
    the heap, which may have to grow or may not: these are counted as none (docs/adr/0010-page-faults.md).

    Args:
        program: Its analyses.

    Raises:
        IRError: A type cannot be read.
    """
    found: dict[Operation, int] = {}
    for function in program.storages.values():
        for storage in function.storages:
            if storage.born >= 0 and storage.bytes >= MAPPED_FROM_BYTES:
                op = function.ops[storage.born]
                found[op] = found.get(op, 0) + storage.bytes
    return found
