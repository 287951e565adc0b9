"""Memory over time: one row for each storage that is made or given back in the first two steps."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from steelyard.compiler.analysis.storages import path_of
from steelyard.compiler.dialects.program import PHASE, SOURCE, text_attribute
from steelyard.compiler.dialects.torch_op import operator_name
from steelyard.hw.allocators.allocator import Allocator
from steelyard.hw.base.atomic_file import write_atomically
from steelyard.hw.base.errors import UsageError
from steelyard.hw.tables.csv_rows import format_csv
from steelyard.passes.memory.allocator_replay import replay, requests
from steelyard.passes.memory.step_memory import CATEGORIES, StepMemory

_SUFFIXES = (".csv", ".json")


@dataclass(frozen=True, slots=True)
class Event:
    """A storage that is made or given back, and what is alive after it.

    Attributes:
        index: Counts the events.
        step: 1 or 2; the second is like all later ones.
        op: The op that asks for it; empty for what is there before the step, and what goes after it.
        phase: Of the op, as are module and source.
        module: Module path.
        source: Source line.
        category: What the storage is for.
        bytes: Its size; negative if it is given back.
        live_bytes: All storages.
        allocated_bytes: The blocks that hold them.
        reserved_bytes: What the allocator has from the device.
        by_category: The live bytes of each category.
    """

    index: int
    step: int
    op: str
    phase: str
    module: str
    source: str
    category: str
    bytes: int
    live_bytes: int
    allocated_bytes: int
    reserved_bytes: int
    by_category: dict[str, int]


def memory_timeline(memory: StepMemory, allocator: Allocator) -> Iterator[Event]:
    """Yield the events of two steps, served by an allocator without a limit."""
    live = Counter[str]()
    events = requests(memory.steps)
    for index, (event, moment) in enumerate(
        zip(events, replay(memory.steps, allocator).moments, strict=True)
    ):
        category, op = memory.category(event.storage), event.at[-1] if event.at else None
        live[category] += event.bytes
        name = operator_name(op) if op else ""
        yield Event(
            index=index,
            step=1 if index < len(memory.first) else 2,
            op=name,
            phase=text_attribute(event.at[0], PHASE) if event.at else "",
            module=path_of(event.at),
            source=text_attribute(op, SOURCE) if op else "",
            category=category,
            bytes=event.bytes,
            live_bytes=moment.requested,
            allocated_bytes=moment.allocated,
            reserved_bytes=moment.reserved,
            by_category={each: live[each] for each in CATEGORIES},
        )


def write_timeline(path: Path, events: Iterator[Event]) -> None:
    """Write the events to a .csv or a .json file.

    Raises:
        UsageError: The name ends in neither.
    """
    require_timeline_name(path)
    rows = [asdict(event) for event in events]
    for row in rows:
        row |= {f"{name}_bytes": size for name, size in row.pop("by_category").items()}
    header = [*rows[0]] if rows else []
    table = [[*row.values()] for row in rows]
    is_json = path.suffix == ".json"
    write_atomically(path, json.dumps(rows, indent=1) if is_json else f"{format_csv(header, table)}\n")


def require_timeline_name(path: Path) -> None:
    """Refuse a name that says neither CSV nor JSON, before anything is computed.

    Raises:
        UsageError: It ends in neither.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(
            what=f"a timeline cannot be written to {path}",
            why="the name ends in neither .csv nor .json",
        )
