"""Op traces, written by `profile --format json` and read by `transfer`: ops, their work and times."""

import json
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, cast, get_args

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.base.kernel_work import DType, KernelWork, WorkKind
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.wave_scaling import MeasuredOp
from steelyard.hw.tables.parse_dims import parse_dims

_COUNTS = ("contraction_flops", "pointwise_flops", "transcendental_flops", "bytes_read", "bytes_written")


@dataclass(frozen=True, slots=True)
class TracedOp:
    """One entry of a trace.

    Attributes:
        name: The signature of the op.
        dtype: The type that it calculates in.
        count: Runs per program run.
        op: Its work and measured time.
    """

    name: str
    dtype: DType
    count: int
    op: MeasuredOp


@dataclass(frozen=True, slots=True)
class Trace:
    """The ops of a program on the device where they were measured.

    Attributes:
        model: The program.
        device: The name of the device.
        ops: The ops that were measured.
        unmeasured: Number of distinct ops that were not.
    """

    model: str
    device: str
    ops: tuple[TracedOp, ...]
    unmeasured: int


def read_trace(path: Path) -> Trace:
    """Return the trace of a file.

    Raises:
        UsageError: It cannot be read, is no trace, has an invalid entry, or no measured op.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise _no_trace(str(path), str(error)) from error
    if not isinstance(found, dict):
        raise _no_trace(str(path), "it is no JSON object")
    content = cast("dict[str, Any]", found)
    entries, device = content.get("ops"), content.get("device")
    if not isinstance(entries, list) or not isinstance(device, str):
        raise _no_trace(str(path), "it lacks the list ops or the name of the device")
    listed = [
        _entry(entry, f"{path}, op {index}") for index, entry in enumerate(cast("list[object]", entries))
    ]
    ops = tuple(each for each in listed if each is not None)
    if not ops:
        raise UsageError(
            what="the trace has no measured op",
            where=str(path),
            why=f"it lists {len(listed)} ops",
            fix="write one with `steelyard profile SPEC --format json`",
        )
    return Trace(str(content.get("model", "program")), device, ops, len(listed) - len(ops))


def _entry(entry: object, where: str) -> TracedOp | None:
    """Return an op of the trace, None where it was not measured."""
    if not isinstance(entry, dict):
        raise _no_trace(where, "it is no JSON object")
    fields = cast("dict[str, Any]", entry)
    name, measured_ms = str(fields.get("signature", "")), fields.get("measured_ms")
    if measured_ms is None:
        return None
    count, dtype = fields.get("count"), fields.get("dtype")
    if not _is_number(measured_ms) or not 0 < measured_ms < inf:
        raise _bad(where, name, f"measured_ms is {measured_ms!r}", "a time is a positive number")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise _bad(where, name, f"count is {count!r}", "an op runs at least once")
    kind, work = _kind(fields, where, name), _work(fields, where, name)
    if work is not None and dtype not in get_args(DType):
        raise _bad(where, name, f"there is no dtype {dtype!r}", did_you_mean(str(dtype), get_args(DType)))
    dims = _dims(kind, str(fields.get("dims", "")), where) if kind else {}
    return TracedOp(name, cast(DType, dtype), count, MeasuredOp(work, kind, dims, measured_ms * 1e-3))


def _kind(fields: dict[str, Any], where: str, name: str) -> str | None:
    kind = fields.get("kind") or None
    if kind is not None and not (isinstance(kind, str) and kind in KINDS):
        raise _bad(where, name, f"there is no kind {kind!r}", did_you_mean(str(kind), KINDS))
    return kind


def _dims(kind: str, text: str, where: str) -> dict[str, int | str]:
    pairs = dict(pair.split("=", 1) for pair in text.split() if "=" in pair)
    cells = {dim: [value] for dim, value in pairs.items()}
    columns = parse_dims(kind, cells, lambda _, dim: f"{where}, {dim}")
    return {
        dim: str(column[0]) if KINDS[kind].dims[dim].words else int(column[0])
        for dim, column in columns.items()
    }


def _work(fields: dict[str, Any], where: str, name: str) -> KernelWork | None:
    found = fields.get("work")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise _bad(where, name, f"its work is {found!r}", "work is an object of counts")
    work = cast("dict[str, Any]", found)
    if work.get("kind") not in get_args(WorkKind):
        raise _bad(
            where,
            name,
            f"there is no kind of work {work.get('kind')!r}",
            did_you_mean(str(work.get("kind")), get_args(WorkKind)),
        )
    for count in _COUNTS:
        if not _is_number(work.get(count)) or not 0 <= work[count] < inf:
            raise _bad(where, name, f"{count} is {work.get(count)!r}", "it is a number, at least 0")
    contraction, pointwise, transcendental, read, written = (int(work[count]) for count in _COUNTS)
    return KernelWork(
        kind=cast(WorkKind, work["kind"]),
        dtype=cast(DType, fields.get("dtype")),
        contraction_flops=contraction,
        pointwise_flops=pointwise,
        transcendental_flops=transcendental,
        bytes_read=read,
        bytes_written=written,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_trace(where: str, why: str) -> UsageError:
    return UsageError(
        what="the trace cannot be read",
        where=where,
        why=why,
        fix="write one with `steelyard profile SPEC --format json`",
    )


def _bad(where: str, name: str, what: str, why: str) -> UsageError:
    return UsageError(what=what, where=f"{where} {name}".strip(), why=why)
