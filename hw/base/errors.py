"""The one family of errors that a user of Steelyard sees: what happened, where, why, and what to do."""

from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class SteelyardError(Exception):
    """A problem that the user can understand and mend; anything else is a bug of ours.

    `str()` is the text to show, without an "error: " in front:

        no device named 'h100'
          at: --device h100
          why: 31 devices are known and none has this name
          fix: did you mean 'h100-sxm' or 'h100-pcie'?
    """

    code: ClassVar[str] = "SY001"
    """Stable name of the family, for documentation and for scripts."""

    def __init__(
        self, *, what: str, where: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        """Keep the parts.

        Args:
            what: What happened, in one line.
            where: The file, line, operation or flag.
            why: The reason; where two numbers disagree, both of them.
            fix: What to do about it.
        """
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = {"at": self.where, "why": self.why, "fix": self.fix}
        return "\n".join([self.what, *(_part(label, text) for label, text in parts.items() if text)])

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by the default pickling, and errors cross process borders.
        parts = {"what": self.what, "where": self.where, "why": self.why, "fix": self.fix}
        return partial(type(self), **parts), ()


class UsageError(SteelyardError):
    """The command line, a SPEC or an option makes no sense."""

    code = "US001"


class DeviceError(SteelyardError):
    """A device is unknown, its file is wrong, or it lacks what was asked of it."""

    code = "HW001"


class CaptureError(SteelyardError):
    """A model cannot be turned into a program."""

    code = "FE001"


class IRError(SteelyardError):
    """A program is malformed, or a pass cannot work on it."""

    code = "IR001"


class ExecutionError(SteelyardError):
    """A program cannot be run or measured on this machine."""

    code = "RT001"


def did_you_mean(name: str, choices: "Iterable[str]") -> str:
    """Return advice for a name that is none of `choices`: the nearest ones, or all where none is near.

    The answer is a whole clause, made for the `fix` of an error; it is empty where there are no choices.
    """
    known = sorted(choices)
    near = get_close_matches(name, known, n=3, cutoff=0.6) or [c for c in known if c.startswith(name)][:3]
    if near:
        return f"did you mean {' or '.join(repr(choice) for choice in near)}?"
    return f"choose one of: {', '.join(known)}" if known else ""


def _part(label: str, text: str) -> str:
    return f"  {label}: " + text.replace("\n", "\n    ")
