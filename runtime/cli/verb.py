"""The command class of all verbs."""

from collections import Counter
from typing import Any

from typer.core import TyperCommand

from steelyard.hw.base.errors import UsageError


class Verb(TyperCommand):
    """A command that refuses an option given twice, of which the parser would keep the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as the base class does.

        Raises:
            UsageError: An option with a single value is there twice.
        """
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter, count in Counter(order).items():
            if count > 1 and parameter.param_type_name == "option" and not parameter.multiple:
                flag = parameter.opts[0]
                raise UsageError(
                    what=f"{flag} is given {count} times", why="it takes one value", fix=f"keep one {flag}"
                )
        return super().parse_args(ctx, args)
