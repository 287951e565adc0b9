"""Results of the API: frozen values that print as the command line prints them."""

import html
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.allocators.choice import make_allocator
from steelyard.hw.base.atomic_file import write_atomically
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device
from steelyard.passes.memory.step_memory import step_memory
from steelyard.passes.structure.inline import InlinePass
from steelyard.runtime.capacity.fits import MemoryFit
from steelyard.runtime.capacity.memory_timeline import memory_timeline, write_timeline
from steelyard.runtime.capacity.suggestions import Suggestion
from steelyard.runtime.predict.predict import TablePrediction
from steelyard.runtime.report.coverage import UnknownOp
from steelyard.runtime.report.format_fit import format_fit
from steelyard.runtime.report.format_prediction import format_prediction, format_scores
from steelyard.runtime.report.format_summary import as_record, format_csv, format_markdown, format_table
from steelyard.runtime.report.format_verification import format_verification
from steelyard.runtime.report.summary import Grouping, Summary

if TYPE_CHECKING:
    import pandas

    from steelyard.runtime.verify.verify import Verification

T = TypeVar("T")


class Result(ABC):
    """A result: `str` is the table, `to_dict` the object that `--format json` prints."""

    @abstractmethod
    def to_dict(self) -> Any:
        """Return all of it in plain lists and dictionaries."""

    def to_json(self) -> str:
        """Return `to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2)

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the table."""
        return [self.to_dict()]

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the rows as a data frame.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError(
                what="the rows cannot become a data frame",
                why=str(error),
                fix="install it with: pip install pandas",
            ) from error
        return pandas.DataFrame(list(self.rows()))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


@dataclass(frozen=True, eq=False)
class Tabulated(Result, Generic[T]):
    """Figures of one kind with their formats.

    Attributes:
        found: The figures.
        to_text: Returns them as `table`, `json` or, where rows are of one kind, `csv`.
    """

    found: T
    to_text: Callable[[Any], str]

    def __str__(self) -> str:
        return self.to_text("table")

    def to_dict(self) -> Any:
        """Return what `--format json` prints."""
        return json.loads(self.to_text("json"))

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the table: the list in the object."""
        record = self.to_dict()
        return next((each for each in record.values() if isinstance(each, list)), [record])


@dataclass(frozen=True, eq=False)
class Program(Result):
    """A program in the IR.

    Attributes:
        module: The module of xDSL.
    """

    module: ModuleOp

    @cached_property
    def analyses(self) -> Analyses:
        """Its analyses, computed once."""
        return Analyses(self.module)

    @property
    def totals(self) -> Mapping[str, Any]:
        """The totals that its annotations carry."""
        return read_totals(self.module)

    def __str__(self) -> str:
        return format_program(self.module)

    def to_dict(self) -> dict[str, Any]:
        """Return the text of the IR."""
        return {"ir": str(self)}


@dataclass(frozen=True, eq=False)
class Weighing(Result):
    """Cost of a model on a device: FLOPs, bytes, time and live memory.

    Attributes:
        program: The annotated program.
        summary: What it says.
        device: The device.
        seconds: Time that weighing took.
        by: Rows of the table: modules, ops or phases.
        depth: Levels of the module tree in it.
        shapes: Whether the table has the shapes of the modules' outputs.
    """

    program: Program
    summary: Summary
    device: Device
    seconds: float
    by: Grouping = "module"
    depth: int = 5
    shapes: bool = False

    def __str__(self) -> str:
        return format_table(*self._given)

    def to_dict(self) -> dict[str, Any]:
        """Return the totals and the rows."""
        return as_record(*self._given)

    def to_csv(self) -> str:
        """Return the rows as CSV."""
        return format_csv(*self._given)

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        return format_markdown(*self._given)

    @property
    def _given(self) -> tuple[Summary, Device, Grouping, int, float, bool]:
        return self.summary, self.device, self.by, self.depth, self.seconds, self.shapes

    def write(self, path: Path) -> None:
        """Write the annotated program to a `.mlir` file, or to stdout if the path is `-`.

        Raises:
            UsageError: The file cannot be written.
        """
        module = self.program.module.clone()
        InlinePass().apply(make_context(), module)
        write_atomically(path, format_program(module))

    def write_memory_timeline(self, path: Path) -> None:
        """Write live bytes after each allocation to a `.csv` or `.json` file.

        Raises:
            UsageError: The file has another name, or cannot be written.
        """
        memory = step_memory(self.program.analyses, self.device)
        write_timeline(path, memory_timeline(memory, make_allocator(self.device)))

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the table."""
        return self.to_dict()["rows"]


@dataclass(frozen=True)
class Fit(Result):
    """Answer to whether a model fits into a device's memory.

    Attributes:
        memory: The terms of the fit.
        ways: Changes that make it fit, where it does not.
        assumptions: What the capture took for granted.
        batch: The largest batch, of `max_batch`.
        holds_for: Inputs, dtypes and dropout of the step.
    """

    memory: MemoryFit
    ways: tuple[Suggestion, ...] = ()
    assumptions: tuple[str, ...] = ()
    batch: int | None = None
    holds_for: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it fits."""
        return self.memory.fits

    def __bool__(self) -> bool:
        return self.fits

    def __str__(self) -> str:
        batch = [] if self.batch is None else [str(self.batch)]
        held = [f"holds for: {'; '.join(self.holds_for)}"] * bool(self.holds_for)
        assumed = [f"assumed: {each}" for each in self.assumptions]
        return "\n".join([*batch, format_fit(self.memory, self.ways), *held, *assumed])

    def to_dict(self) -> dict[str, Any]:
        """Return the terms, and the ways to fit or the batch."""
        memory = {**asdict(self.memory), "fits": self.fits, "margin_bytes": list(self.memory.margin_bytes)}
        memory["context_bytes"] = list(self.memory.context_bytes)
        told = {"conditions": list(self.holds_for), "assumptions": list(self.assumptions)}
        if self.batch is not None:
            return {"batch": self.batch, **memory, **told}
        return {**memory, "ways_to_fit": [asdict(way) for way in self.ways], **told}


@dataclass(frozen=True, eq=False)
class Prediction(Result):
    """Predicted times of a table of kernels, with scores where measured times are known."""

    table: TablePrediction

    def __str__(self) -> str:
        return self.to_text("table")

    def to_text(self, style: Any) -> str:
        """Return scores, or else rows, as `table`, `json` or `csv`."""
        if self.table.scores is not None:
            return format_scores(self.table.scores, style)
        return format_prediction(self.table, style)

    def to_dict(self) -> Any:
        """Return the rows, or the scores."""
        return json.loads(self.to_text("json"))

    def write(self, path: Path) -> None:
        """Write the predicted rows to a file, as JSON if it is `.json`, else CSV; `-` is stdout.

        Raises:
            UsageError: The file cannot be written.
        """
        text = format_prediction(self.table, "json" if path.suffix == ".json" else "csv")
        write_atomically(path, text + "\n")

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The predicted rows of the table."""
        return json.loads(format_prediction(self.table, "json"))


@dataclass(frozen=True)
class Verified(Result):
    """Measurement beside prediction on this machine."""

    comparison: "Verification"

    @property
    def ok(self) -> bool:
        """Whether results are equal, and time and memory within the tolerance."""
        return self.comparison.ok

    def __str__(self) -> str:
        return format_verification(self.comparison)

    def to_dict(self) -> dict[str, Any]:
        """Return all that was compared."""
        return self.comparison.to_json()


@dataclass(frozen=True)
class Coverage(Result):
    """The ops of a model whose work is not known; none where all are understood."""

    unknown: tuple[UnknownOp, ...]

    @property
    def ok(self) -> bool:
        """Whether every op is understood."""
        return not self.unknown

    def __str__(self) -> str:
        if self.ok:
            return "every op is understood"
        return "\n".join(f"{op.name}  {op.count} ops  first at {op.where}" for op in self.unknown)

    def to_dict(self) -> dict[str, Any]:
        """Return the ops with their counts and places."""
        return {"unknown": [asdict(op) for op in self.unknown]}

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """One for each operator."""
        return [asdict(op) for op in self.unknown]
