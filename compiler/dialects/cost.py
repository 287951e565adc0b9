"""The `cost` dialect: what passes found out about an op, as attributes that print and parse exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Data, Dialect, ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from steelyard.compiler.dialects.cost_spaces import SpacesAttr
from steelyard.compiler.dialects.literal import format_literal
from steelyard.hw.base.kernel_cost import KernelCost


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCounts(KernelCost[int]):
    """Cost of one op, with its kind and dtype.

    `kind` is a `steelyard.hw.base.kernel_work.WorkKind`, `dtype` the type of its arithmetic. `bytes_read`
    counts every operand as often as it is asked for, `bytes_unique` every distinct byte read or written once.
    """

    kind: str
    dtype: str
    bytes_unique: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEstimate:
    """Predicted time of one op in microseconds with a 90% interval, what limits it and where it is from."""

    value_us: float
    low_us: float
    high_us: float
    limiter: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBytes:
    """Bytes of storage alive before, at (with results) and after an op, and its own part in that.

    Inside a function that is called, the bytes count from the function's entry.
    """

    before: int
    at: int
    after: int
    allocates: int
    frees: int


@irdl_attr_definition
class WorkAttr(Data[WorkCounts]):
    """`#cost.work<contraction f32, flops = [2, 0, 0], bytes = [8, 4, 12]>`: set by annotate-cost.

    FLOPs are of contraction, pointwise and transcendental units; bytes are read, written and unique.
    """

    name = "cost.work"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> WorkCounts:
        """Reads the counts."""
        with parser.in_angle_brackets():
            kind, dtype = parser.parse_identifier(), parser.parse_identifier()
            parser.parse_punctuation(",")
            contraction, pointwise, transcendental = _parse_named_integers(parser, "flops", 3)
            parser.parse_punctuation(",")
            read, written, unique = _parse_named_integers(parser, "bytes", 3)
        return WorkCounts(
            kind=kind,
            dtype=dtype,
            contraction_flops=contraction,
            pointwise_flops=pointwise,
            transcendental_flops=transcendental,
            bytes_read=read,
            bytes_written=written,
            bytes_unique=unique,
        )

    def print_parameter(self, printer: Printer) -> None:
        """Prints the counts."""
        work = self.data
        flops = f"{work.contraction_flops}, {work.pointwise_flops}, {work.transcendental_flops}"
        moved = f"{work.bytes_read}, {work.bytes_written}, {work.bytes_unique}"
        printer.print_string(f"<{work.kind} {work.dtype}, flops = [{flops}], bytes = [{moved}]>")


@irdl_attr_definition
class LatencyAttr(Data[LatencyEstimate]):
    """`#cost.latency<us = [4.2, 3.0, 6.0], memory, analytic>` (value, low, high): set by annotate-latency."""

    name = "cost.latency"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> LatencyEstimate:
        """Reads the estimate."""
        with parser.in_angle_brackets():
            parser.parse_keyword("us")
            parser.parse_punctuation("=")
            times = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_number)
            if len(times) != 3:
                parser.raise_error(f"expected value, low and high, found {len(times)} numbers")
            parser.parse_punctuation(",")
            limiter = parser.parse_identifier()
            parser.parse_punctuation(",")
            source = parser.parse_identifier()
        value, low, high = map(float, times)
        return LatencyEstimate(value_us=value, low_us=low, high_us=high, limiter=limiter, source=source)

    def print_parameter(self, printer: Printer) -> None:
        """Prints the estimate."""
        latency = self.data
        times = ", ".join(map(format_literal, (latency.value_us, latency.low_us, latency.high_us)))
        printer.print_string(f"<us = [{times}], {latency.limiter}, {latency.source}>")


@irdl_attr_definition
class MemoryAttr(Data[LiveBytes]):
    """`#cost.memory<live = [8, 12, 4], allocates = 4, frees = 8>` (before, at, after): by annotate-memory."""

    name = "cost.memory"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> LiveBytes:
        """Reads the bytes."""
        with parser.in_angle_brackets():
            before, at, after = _parse_named_integers(parser, "live", 3)
            parser.parse_punctuation(",")
            parser.parse_keyword("allocates")
            parser.parse_punctuation("=")
            allocates = parser.parse_integer()
            parser.parse_punctuation(",")
            parser.parse_keyword("frees")
            parser.parse_punctuation("=")
            frees = parser.parse_integer()
        return LiveBytes(before=before, at=at, after=after, allocates=allocates, frees=frees)

    def print_parameter(self, printer: Printer) -> None:
        """Prints the bytes."""
        live = self.data
        printer.print_string(
            f"<live = [{live.before}, {live.at}, {live.after}], "
            f"allocates = {live.allocates}, frees = {live.frees}>"
        )


@irdl_attr_definition
class UnknownAttr(ParametrizedAttribute):
    """`#cost.unknown`: no work is known for this op; it is counted in the coverage, never as 0."""

    name = "cost.unknown"


def _parse_named_integers(parser: AttrParser, name: str, count: int) -> Sequence[int]:
    parser.parse_keyword(name)
    parser.parse_punctuation("=")
    values = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
    if len(values) != count:
        parser.raise_error(f"expected {count} numbers for {name}, found {len(values)}")
    return values


def get_cost() -> Dialect:
    """The dialect of annotations."""
    return Dialect("cost", [], [WorkAttr, SpacesAttr, LatencyAttr, MemoryAttr, UnknownAttr])


WORK, LATENCY, MEMORY = "cost.work", "cost.latency", "cost.memory"
"""Names under which the annotations stand on an op."""
