"""Tables as CSV: read whole, with an address for each cell, and written."""

import csv
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO

from steelyard.hw.base.errors import SteelyardError, UsageError


@dataclass(frozen=True, slots=True)
class Rows:
    """The cells of a CSV file.

    Attributes:
        name: The file, as errors name it.
        header: The columns, each once.
        records: The cells of each row, as many as there are columns.
        lines: The line of the file that each row ends on.
    """

    name: str
    header: tuple[str, ...]
    records: Sequence[Sequence[str]]
    lines: Sequence[int]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, which must exist."""
        index = self.header.index(name)
        return [record[index] for record in self.records]

    def where(self, row: int, column: str = "") -> str:
        """Return the address of a row, counted from 0, or of one of its cells."""
        cell = f", column {column!r}" if column else ""
        return f"{self.name}, row {row + 1} (line {self.lines[row]}){cell}"

    @contextmanager
    def naming(self, row: int, column: str = "") -> Generator[None]:
        """Have errors of what is done inside name a row, and a cell of it where the table has the column.

        Raises:
            SteelyardError: The same error, with the address.
        """
        try:
            yield
        except SteelyardError as error:
            place = self.where(row, column if column in self.header else "")
            where = f"{place}; {error.where}" if error.where else place
            raise type(error)(what=error.what, where=where, why=error.why, fix=error.fix) from error


def format_csv(header: Sequence[str], records: Sequence[Sequence[object]]) -> str:
    """Return a table as CSV."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(records)
    return stream.getvalue().rstrip("\n")


def parse_rows(text: str, name: str) -> Rows:
    """Return the rows of a CSV text whose first line names the columns; blank lines are skipped.

    Args:
        text: Comma-separated values.
        name: The file, to be named in errors.

    Raises:
        UsageError: The text has no header or no rows, names a column twice, or a row is too short or long.
    """
    reader = csv.reader(StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    records: list[list[str]] = []
    lines: list[int] = []
    try:
        for record in reader:
            if record:
                records.append(record)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise UsageError(
            what="the file is no CSV", where=f"{name}, line {reader.line_num}", why=str(error)
        ) from error
    if not records:
        raise UsageError(what="the file is empty", where=name, fix="its first line names the columns")
    header = tuple(cell.strip() for cell in records[0])
    twice = {column for column in header if header.count(column) > 1}
    if twice:
        raise UsageError(
            what=f"the header names {', '.join(map(repr, sorted(twice)))} twice",
            where=f"{name}, line {lines[0]}",
            fix="give each column a name of its own",
        )
    if len(records) == 1:
        raise UsageError(what="the file has a header and no rows", where=name)
    rows = Rows(name, header, records[1:], lines[1:])
    _require_cells(rows)
    return rows


def _require_cells(rows: Rows) -> None:
    for row, record in enumerate(rows.records):
        if len(record) != len(rows.header):
            raise UsageError(
                what=f"a row has {len(record)} cells",
                where=rows.where(row),
                why=f"the header names {len(rows.header)} columns",
                fix="leave a cell empty where a dim does not apply; keep its comma",
            )
