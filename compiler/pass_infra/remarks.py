"""Remarks: what a pass did, could not do or found out, for whoever asked to hear it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

RemarkKind = Literal["passed", "missed", "analysis", "unknown"]

_LISTENER: ContextVar["list[Remark] | None"] = ContextVar("remarks", default=None)


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark.

    Attributes:
        pass_name: The pass that says it.
        kind: Whether something was done (passed), was not done (missed), was found out or is unknown.
        op: The name of the op it is about.
        where: Module path and source line of the op.
        message: The remark.
        gain_us: The time that is gained, or would be.
    """

    pass_name: str
    kind: RemarkKind
    op: str
    where: str
    message: str
    gain_us: float | None = None


def emit(remark: Remark) -> None:
    """Hand a remark to whoever collects them; without a collector it is lost."""
    listener = _LISTENER.get()
    if listener is not None:
        listener.append(remark)


@contextmanager
def collecting() -> Generator[list[Remark]]:
    """Collect the remarks that passes emit inside, in order."""
    remarks: list[Remark] = []
    token = _LISTENER.set(remarks)
    try:
        yield remarks
    finally:
        _LISTENER.reset(token)
