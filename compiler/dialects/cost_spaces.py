"""The attribute `cost.spaces`: the work of an op as text, to be read, and to be given for an op in a file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

Item = TypeVar("Item")

SPACES = "cost.spaces"
"""Name under which the attribute stands on an op."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceText:
    """An iteration space as text.

    `equation` has a named term for each tensor, as in `self: m k, mat2: k n -> result0: m n`; `flops` are
    those of one point by unit; `sizes` the extents of dims that no tensor dim shows alone.
    """

    equation: str
    flops: tuple[int, int, int]
    sizes: tuple[tuple[str, int], ...] = ()
    reduction: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    combine: str = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkText:
    """The work of an op as text: its kind, a `steelyard.hw.base.kernel_work.WorkKind`, and its spaces."""

    kind: str
    spaces: tuple[SpaceText, ...]


@irdl_attr_definition
class SpacesAttr(Data[WorkText]):
    """`#cost.spaces<contraction, ["self: m k, mat2: k n -> result0: m n" flops = [2, 0, 0]]>`: an op's work.

    Set by annotate-cost{print-work=true}, with the extents of dims that no tensor shows, the reduction dims
    and their combiner. Given for an op whose work no rule knows, it is that op's work.
    """

    name = "cost.spaces"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> WorkText:
        """Reads the kind and the spaces."""
        with parser.in_angle_brackets():
            kind = parser.parse_identifier()
            parser.parse_punctuation(",")
            spaces = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: _parse_space(parser))
        return WorkText(kind=kind, spaces=tuple(spaces))

    def print_parameter(self, printer: Printer) -> None:
        """Prints the kind and the spaces."""
        printer.print_string(f"<{self.data.kind}, [")
        printer.print_list(self.data.spaces, lambda space: _print_space(printer, space))
        printer.print_string("]>")


def _parse_space(parser: AttrParser) -> SpaceText:
    equation = parser.parse_str_literal()
    flops = _parse_optional_list(parser, "flops", parser.parse_integer)
    if len(flops) != 3:
        parser.raise_error(
            f"expected flops of contraction, pointwise and transcendental units, found {len(flops)}"
        )
    contraction, pointwise, transcendental = flops
    sizes = _parse_optional_list(parser, "sizes", lambda: _parse_size(parser))
    reduction = _parse_optional_list(parser, "reduction", parser.parse_identifier)
    positional = _parse_optional_list(parser, "positional", parser.parse_identifier)
    combine = parser.parse_identifier() if parser.parse_optional_keyword("by") else "sum"
    return SpaceText(
        equation=equation,
        flops=(contraction, pointwise, transcendental),
        sizes=sizes,
        reduction=reduction,
        positional=positional,
        combine=combine,
    )


def _print_space(printer: Printer, space: SpaceText) -> None:
    printer.print_string_literal(space.equation)
    printer.print_string(f" flops = [{', '.join(map(str, space.flops))}]")
    sizes = tuple(f"{name} = {size}" for name, size in space.sizes)
    for name, items in (("sizes", sizes), ("reduction", space.reduction), ("positional", space.positional)):
        if items:
            printer.print_string(f" {name} = [{', '.join(items)}]")
    if space.combine != "sum":
        printer.print_string(f" by {space.combine}")


def _parse_size(parser: AttrParser) -> tuple[str, int]:
    name = parser.parse_identifier()
    parser.parse_punctuation("=")
    return name, parser.parse_integer()


def _parse_optional_list(parser: AttrParser, name: str, item: Callable[[], Item]) -> tuple[Item, ...]:
    if not parser.parse_optional_keyword(name):
        return ()
    parser.parse_punctuation("=")
    return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, item))
