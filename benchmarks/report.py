"""Results of the benchmarks: a Markdown table on stdout, and JSON under benchmarks/results with `--save`.

`accuracy_page.py` renders docs/accuracy.md from the files that are committed there.
"""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

SAVE = "--save"
FOLDER = Path(__file__).parent / "results"

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one run of a benchmark.

    Attributes:
        title: The heading.
        about: The quantities compared, and their sources.
        figure: The result in one line.
        target: The value asked for, in the terms of `figure`; empty where there is none.
        command: The command line that prints the table.
        machine: The machine it ran on.
        date: Its day, as YYYY-MM-DD.
        columns: A format specification by heading; empty for text.
        rows: A value for each column; None is an empty cell.
    """

    title: str
    about: str
    figure: str
    target: str
    command: str
    machine: str
    date: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Cell]]

    def table(self) -> Iterator[str]:
        """Yield the lines of the Markdown table."""
        yield from _head(self.columns)
        yield from (_line(self.columns, row) for row in self.rows)

    def save(self, path: Path) -> None:
        """Write JSON with a line for each row, so that a difference shows what changed."""
        fields = asdict(self)
        rows = ",\n".join(f"    {json.dumps(row)}" for row in fields.pop("rows"))
        head = json.dumps(fields, indent=2).removesuffix("\n}")
        path.write_text(f'{head},\n  "rows": [\n{rows}\n  ]\n}}\n', encoding="utf-8")

    @staticmethod
    def load(path: Path) -> "Result":
        """Return the result that `save` wrote."""
        return Result(**json.loads(path.read_text(encoding="utf-8")))


class Report:
    """A table that grows row by row, each printed at once: a benchmark may take minutes."""

    def __init__(self, name: str, title: str, about: str, columns: Mapping[str, str]) -> None:
        self._name, self._title, self._about, self._columns = name, title, about, columns
        self._rows: list[Sequence[Cell]] = []
        print("\n".join(_head(columns)))

    def add(self, *cells: Cell) -> None:
        """Add a row with a value for each column."""
        self._rows.append(cells)
        print(_line(self._columns, cells), flush=True)

    def finish(self, figure: str, target: str = "") -> None:
        """Print the result in one line, and save all with `--save`."""
        print(f"\n{figure}{f' (target: {target})' * bool(target)}")
        if SAVE not in sys.argv:
            return
        script = Path(sys.argv[0])
        command = shlex.join(["python", f"{script.parent.name}/{script.name}", *arguments()])
        result = Result(
            title=self._title,
            about=self._about,
            figure=figure,
            target=target,
            command=command,
            machine=_machine(),
            date=date.today().isoformat(),
            columns=self._columns,
            rows=self._rows,
        )
        result.save(FOLDER / f"{self._name}.json")


def arguments() -> list[str]:
    """Return the command line without the program and `--save`."""
    return [each for each in sys.argv[1:] if each != SAVE]


def _head(columns: Mapping[str, str]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('--:' if spec else '---' for spec in columns.values())}|"


def _line(columns: Mapping[str, str], row: Sequence[Cell]) -> str:
    cells = (_shown(cell, spec) for cell, spec in zip(row, columns.values(), strict=True))
    return f"| {' | '.join(cells)} |"


def _shown(cell: Cell, spec: str) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case str():
            return cell
        case _:
            return format(cell, spec)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{len(names)} CPUs of {names[0]}, torch {version('torch')}"
