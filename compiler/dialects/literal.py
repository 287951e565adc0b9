"""Python values of torch's non-tensor arguments as IR attributes, both ways and exactly.

Types, devices, layouts and memory formats are strings in torch's own spelling (`"float32"`, `"cpu"`).
"""

from typing import TypeAlias

from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    f64,
    i1,
    i64,
)
from xdsl.ir import Attribute
from xdsl.parser import Parser

from steelyard.hw.base.errors import IRError

Literal: TypeAlias = "bool | int | float | str | list[Literal] | None"


def to_attribute(value: Literal) -> Attribute:
    """The attribute of a Python value.

    Raises:
        TypeError: the value is not a bool, int, float, str, None or a list of them.
        IRError: an int is beyond 64 bits.
    """
    match value:
        case None:
            return UnitAttr()
        case bool():
            return BoolAttr.from_bool(value)
        case int():
            if not -(2**63) <= value < 2**63:
                raise IRError(what="a number does not fit into 64 bits", why=f"it is {value:.4g}")
            return IntegerAttr(value, i64)
        case float():
            return FloatAttr(value, f64)
        case str():
            return StringAttr(value)
        case list():
            return ArrayAttr([to_attribute(item) for item in value])
    raise TypeError(f"no literal for {value!r} of type {type(value).__name__}")


def from_attribute(attribute: Attribute) -> Literal:
    """The Python value of an attribute that `to_attribute` made.

    Raises:
        TypeError: the attribute is of another kind.
    """
    match attribute:
        case UnitAttr():
            return None
        case IntegerAttr():
            value = attribute.value.data
            return bool(value) if attribute.type == i1 else value
        case FloatAttr():
            return attribute.value.data
        case StringAttr():
            return attribute.data
        case ArrayAttr():
            return [from_attribute(item) for item in attribute]
        case _:
            raise TypeError(f"not a literal: {attribute}")


def format_literal(value: Literal) -> str:
    """The text of a value: `[1, -2]`, `1.0e-05`, `true`, `none`, `"cpu"`, `-inf`."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case float():
            text = repr(value)
            return text.replace("e", ".0e") if "e" in text and "." not in text else text
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return "[" + ", ".join(map(format_literal, value)) + "]"
        case _:
            return str(value)


def parse_literal(parser: Parser) -> Literal:
    """Reads what `format_literal` wrote; a syntax error is raised through the parser."""
    items = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, lambda: parse_literal(parser))
    if items is not None:
        return items
    if (text := parser.parse_optional_str_literal()) is not None:
        return text
    if (boolean := parser.parse_optional_boolean()) is not None:
        return boolean
    for word, value in (("none", None), ("inf", float("inf")), ("nan", float("nan"))):
        if parser.parse_optional_keyword(word):
            return value
    if parser.parse_optional_punctuation("-"):
        number = parser.parse_optional_number()
        if number is not None:
            return -number
        parser.parse_keyword("inf")
        return float("-inf")
    return parser.parse_number()
