"""Dims as text, turned into the columns of a query, or one error that names the cell."""

from collections.abc import Callable, Mapping, Sequence
from math import nan

import numpy as np

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.registry import KINDS

Where = Callable[[int, str], str]
"""The address of a cell from its position in its column and the name of that."""

LARGEST_WORK = 2.0**60
"""Multiply-adds or elements of one kernel; beyond, integers of 64 bits would overflow."""

_LONGEST_MS = 3.6e6
_TRUTH = {"true": "1", "false": "0"}


def parse_dims(kind: str, cells: Mapping[str, Sequence[str]], where: Where) -> dict[str, Column]:
    """Return the dims of kernels of one kind.

    Args:
        kind: What kind they are.
        cells: A column of text for each dim that is given; others take their default. An empty cell does too.
        where: How an error names a cell.

    Raises:
        UsageError: No dim is given, one is missing, no integer, or too small or large, or dims contradict
            each other.
    """
    if not cells:
        raise UsageError(
            what=f"{kind} needs the dims {', '.join(KINDS[kind].dims)}",
            where=where(0, next(iter(KINDS[kind].dims))),
            why="none of them is given",
        )
    rows = len(next(iter(cells.values())))
    dims: dict[str, Column] = {}
    for dim, values in KINDS[kind].dims.items():
        if dim not in cells and values.default is None:
            raise UsageError(
                what=f"{kind} needs the dim {dim!r}",
                where=where(0, dim),
                why=f"there is no such column; {kind} has the dims {', '.join(KINDS[kind].dims)}",
            )
        column = cells.get(dim) or [""] * rows
        dims[dim] = _words(kind, dim, column, where) if values.words else _integers(kind, dim, column, where)
    _require_possible(kind, dims, where)
    return dims


def _integers(kind: str, dim: str, cells: Sequence[str], where: Where) -> Column:
    try:
        numbers = list(map(int, cells))
    except ValueError:  # an empty cell, or an integer written as 4.0
        numbers = [_integer(kind, dim, cell, where, row) for row, cell in enumerate(cells)]
    values = KINDS[kind].dims[dim]
    smallest, largest = values.smallest, values.largest
    if min(numbers) < smallest or max(numbers) > largest:
        row = next(row for row, number in enumerate(numbers) if not smallest <= number <= largest)
        raise UsageError(
            what=f"{dim} is {numbers[row]}",
            where=where(row, dim),
            why=f"it must be between {smallest} and {largest}",
        )
    return np.array(numbers, dtype=np.int64)


def _integer(kind: str, dim: str, cell: str, where: Where, row: int) -> int:
    text = cell.strip().lower()
    if not text:
        return int(_default(kind, dim, where, row))
    try:
        number = float(_TRUTH.get(text, text) if KINDS[kind].dims[dim].largest == 1 else text)
    except ValueError:
        number = nan
    if number.is_integer():
        return int(number)
    raise UsageError(what=f"{dim} is {cell.strip()!r}", where=where(row, dim), why="it is no integer")


def _words(kind: str, dim: str, cells: Sequence[str], where: Where) -> Column:
    known, words = KINDS[kind].dims[dim].words, list[str]()
    for row, cell in enumerate(cells):
        word = cell.strip().lower() or str(_default(kind, dim, where, row))
        if word not in known:
            raise UsageError(
                what=f"there is no {dim} {word!r}",
                where=where(row, dim),
                fix=did_you_mean(word, known),
            )
        words.append(word)
    return np.array(words)


def _default(kind: str, dim: str, where: Where, row: int) -> int | str:
    default = KINDS[kind].dims[dim].default
    if default is not None:
        return default
    raise UsageError(
        what=f"{kind} needs the dim {dim!r}",
        where=where(row, dim),
        why=f"the cell is empty; {kind} has the dims {', '.join(KINDS[kind].dims)}",
    )


def _require_possible(kind: str, dims: Mapping[str, Column], where: Where) -> None:
    """Raise for the first row whose dims contradict each other, or are more than integers can count."""
    for conflict in KINDS[kind].conflicts(dims):
        _refuse(conflict.rows, dims, conflict.dim, conflict.why, where)
    counted = [name for name, dim in KINDS[kind].dims.items() if dim.counts]
    steps = np.prod([dims[dim].astype(np.float64) for dim in counted], axis=0)
    largest = max(counted, key=lambda dim: dims[dim][int(np.argmax(steps))])
    _refuse(steps > LARGEST_WORK, dims, largest, f"makes more than 2**60 steps of {' '.join(counted)}", where)


def _refuse(wrong: Column, dims: Mapping[str, Column], dim: str, why: str, where: Where) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    raise UsageError(what=f"{dim} is {dims[dim][row]}", where=where(row, dim), why=f"it {why}")


def parse_latencies(cells: Sequence[str], column: str, where: Where) -> Floats:
    """Return measured times in seconds from a column in milliseconds.

    Raises:
        UsageError: A cell is no positive, finite number.
    """
    numbers = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            number = float(cell)
        except ValueError:
            number = nan
        if not 0 < number < _LONGEST_MS:
            raise UsageError(
                what=f"{column} is {cell.strip() or 'empty'}",
                where=where(row, column),
                why="a measured time is a positive number of milliseconds, and less than an hour",
            )
        numbers[row] = number
    return numbers * 1e-3
