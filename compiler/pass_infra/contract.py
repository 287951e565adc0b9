"""Contracts of passes: which annotations a pass requires, ensures and invalidates."""

from collections.abc import Collection
from typing import ClassVar, Literal, get_args

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.dialects.cost import LATENCY, MEMORY, WORK
from steelyard.compiler.pass_infra.totals import TOTALS, read_totals
from steelyard.hw.base.errors import IRError

Annotation = Literal["work", "memory", "latency"]
ANNOTATIONS: tuple[Annotation, ...] = get_args(Annotation)
"""The annotations of a program, each an entry of its totals, in the order in which one builds on another."""

_MADE_BY = {
    "work": "annotate-cost",
    "memory": "annotate-memory",
    "latency": "annotate-latency{device=..}",
}


class Contract:
    """The preconditions and effects that a pass states as data of its class."""

    requires: ClassVar[frozenset[Annotation]] = frozenset()
    """Annotations that the pass reads; without one it refuses."""

    ensures: ClassVar[frozenset[Annotation]] = frozenset()
    """Annotations that the program has after the pass, beside those that it had."""

    invalidates: ClassVar[frozenset[Annotation]] = frozenset()
    """Annotations that the pass makes untrue; those that the program has are made anew after it."""

    rewrites: ClassVar[bool] = False
    """Whether the pass changes ops, and with them every analysis."""


def annotations_of(module: ModuleOp) -> frozenset[Annotation]:
    """The annotations that a program has."""
    entries = read_totals(module)
    return frozenset(each for each in ANNOTATIONS if each in entries)


def drop_annotations(module: ModuleOp) -> None:
    """Remove what an earlier annotation, for whatever target, has left in a program."""
    module.attributes.pop(TOTALS, None)
    for op in module.walk():
        for name in (WORK, MEMORY, LATENCY):
            op.attributes.pop(name, None)


def require(module: ModuleOp, required: Collection[Annotation], wanted_by: str) -> None:
    """Refuse a program that lacks annotations.

    Args:
        module: The program.
        required: What it must have.
        wanted_by: The name of the pass that reads them.

    Raises:
        IRError: one is missing; the error says which passes to run before.
    """
    present = annotations_of(module)
    missing = [each for each in ANNOTATIONS if each in required and each not in present]
    if missing:
        raise IRError(
            what=f"the program has no annotated {' and '.join(missing)}, which {wanted_by} reads",
            fix=f"run {' and '.join(_MADE_BY[each] for each in missing)} before",
        )
