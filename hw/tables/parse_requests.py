"""Rows of a table as questions to kernel models: those of one device, context, kind and type together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.errors import SteelyardError, UsageError, did_you_mean
from steelyard.hw.base.kernel_work import DType, ExecutionMode
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.tables.csv_rows import Rows
from steelyard.hw.tables.dtype_spelling import parse_dtype
from steelyard.hw.tables.parse_dims import parse_dims

MODES = get_args(ExecutionMode)
_OPTIONAL = (
    "device",
    "context",
    *{name for kind in KINDS.values() for name, dim in kind.dims.items() if dim.default is not None},
)


@dataclass(frozen=True, slots=True)
class Request:
    """Rows that one ladder prices at once.

    Attributes:
        device: The name or path of the device.
        mode: How the kernels are run.
        queries: What is asked.
        rows: The position of each in the table.
    """

    device: str
    mode: ExecutionMode
    queries: KernelBatch
    rows: NDArray[np.int64]


def parse_requests(rows: Rows, device: str | None) -> list[Request]:
    """Return what a table asks, in groups; every row is in exactly one.

    Args:
        rows: A table with the columns kind, dtype and the dims of its kinds; the columns device and context
            may say for each row where and how it is run (eager where they do not).
        device: The device of the rows that name none.

    Raises:
        UsageError: A column is missing or misspelt, a word is unknown, or a dim is impossible.
    """
    _require_header(rows)
    members: dict[tuple[str, ...], list[int]] = {}
    columns = dict(zip(rows.header, zip(*rows.records, strict=True), strict=True))
    empty = ("",) * len(rows.records)
    keys = [columns.get(column, empty) for column in ("device", "context", "kind", "dtype")]
    for row, key in enumerate(zip(*keys, strict=True)):
        members.setdefault(key, []).append(row)
    heads = {key: _head(rows, found[0], key, device) for key, found in members.items()}
    merged: dict[tuple[str, ExecutionMode, str, DType], list[int]] = {}
    for key, found in members.items():  # "fp32" and "f32" are one type
        merged.setdefault(heads[key], []).extend(found)
    return [_request(rows, columns, head, sorted(found)) for head, found in merged.items()]


def _require_header(rows: Rows) -> None:
    header = f"{rows.name}, line 1"
    for column in ("kind", "dtype"):
        if column not in rows.header:
            near = get_close_matches(column, rows.header, n=1)
            rename = f"rename {near[0]!r} to {column!r}" if near else ""
            raise UsageError(
                what=f"there is no column {column!r}",
                where=header,
                why=f"the header names {', '.join(map(repr, rows.header))}",
                fix=rename or "write kind,dtype and the dims into the first line, with commas between them",
            )
    # A misspelt column that may be left out would silently mean its default.
    absent = [column for column in _OPTIONAL if column not in rows.header]
    known = {"kind", "dtype", *_OPTIONAL, *(dim for kind in KINDS.values() for dim in kind.dims)}
    for column in rows.header:
        near = get_close_matches(column.lower(), absent, n=1, cutoff=0.8)
        if column not in known and near:
            raise UsageError(
                what=f"the column {column!r} is not known", where=header, fix=f"did you mean {near[0]!r}?"
            )


def _head(
    rows: Rows, row: int, key: tuple[str, ...], default: str | None
) -> tuple[str, ExecutionMode, str, DType]:
    device, mode, kind, dtype = (cell.strip() for cell in key)
    mode, kind = mode.lower() or "eager", kind.lower()
    if not device and default is None:
        raise UsageError(
            what="a row names no device", where=rows.where(row, "device"), fix="name one with --device"
        )
    if mode not in MODES:
        raise _unknown(rows, row, "context", mode, MODES)
    if kind not in KINDS:
        raise _unknown(rows, row, "kind", kind, tuple(KINDS))
    try:
        parsed = parse_dtype(dtype)
    except UsageError as error:
        raise UsageError(what=error.what, where=rows.where(row, "dtype"), fix=error.fix) from error
    return device or default or "", cast(ExecutionMode, mode), kind, parsed


def _unknown(rows: Rows, row: int, column: str, word: str, known: Sequence[str]) -> SteelyardError:
    return UsageError(
        what=f"there is no {column} {word!r}", where=rows.where(row, column), fix=did_you_mean(word, known)
    )


def _request(
    rows: Rows,
    columns: Mapping[str, Sequence[str]],
    head: tuple[str, ExecutionMode, str, DType],
    members: list[int],
) -> Request:
    device, mode, kind, dtype = head
    cells = {dim: _some(columns[dim], members) for dim in KINDS[kind].dims if dim in columns}
    where = partial(_where, rows, members)
    dims = parse_dims(kind, cells, where)
    return Request(device, mode, KernelBatch(kind, dtype, dims), np.array(members))


def _some(column: Sequence[str], members: list[int]) -> Sequence[str]:
    return column if len(members) == len(column) else [column[row] for row in members]


def _where(rows: Rows, members: list[int], row: int, column: str) -> str:
    return rows.where(members[row], column)
