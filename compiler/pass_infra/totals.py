"""Totals of a program: the module attribute `cost.totals`, one entry for each annotation."""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar, cast

from xdsl.dialects.builtin import DictionaryAttr, ModuleOp
from xdsl.ir import Attribute

from steelyard.compiler.dialects.literal import Literal, from_attribute, to_attribute

TOTALS = "cost.totals"

Totals: TypeAlias = "Mapping[str, Totals | Literal]"

_Amount = TypeVar("_Amount", int, float)


def largest_first(amounts: Mapping[str, _Amount]) -> dict[str, _Amount]:
    """The parts of a total, the largest first and those of nothing left out."""
    parts = [(name, amount) for name, amount in amounts.items() if amount]
    return dict(sorted(parts, key=lambda part: (-part[1], part[0])))


def read_totals(module: ModuleOp) -> Totals:
    """The totals that passes have written so far, by annotation, and the target; empty at first."""
    attribute = module.attributes.get(TOTALS)
    return _from_dictionary(attribute) if isinstance(attribute, DictionaryAttr) else {}


def unknown_ops(module: ModuleOp) -> dict[str, int]:
    """The ops of unknown work, by name, and how often each runs; empty without annotated work."""
    work = read_totals(module).get("work")
    return cast("dict[str, int]", work["unknown_by_op"]) if isinstance(work, Mapping) else {}


def write_totals(module: ModuleOp, entry: str, totals: Totals) -> None:
    """Set one entry of the totals and keep the others."""
    attribute = module.attributes.get(TOTALS)
    known = dict(attribute.data) if isinstance(attribute, DictionaryAttr) else {}
    module.attributes[TOTALS] = DictionaryAttr({**known, entry: _to_dictionary(totals)})


def _to_dictionary(totals: Totals) -> DictionaryAttr:
    return DictionaryAttr({name: _to(value) for name, value in totals.items()})


def _to(value: "Totals | Literal") -> Attribute:
    return _to_dictionary(value) if isinstance(value, Mapping) else to_attribute(value)


def _from_dictionary(attribute: DictionaryAttr) -> Totals:
    return {
        name: _from_dictionary(value) if isinstance(value, DictionaryAttr) else from_attribute(value)
        for name, value in attribute.data.items()
    }
