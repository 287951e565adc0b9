"""Parsing of pass pipelines, as in `steelyard-opt -p`."""

from xdsl.passes import PassPipeline
from xdsl.utils.exceptions import ArgSpecParseError

from steelyard.hw.base.errors import UsageError
from steelyard.passes.universe import PASSES


def parse_passes(text: str) -> PassPipeline:
    """Parse a pipeline such as `recompute{budget=0.4},annotate-memory`.

    Raises:
        UsageError: There is no such pass or option.
    """
    try:
        return PassPipeline.parse_spec(PASSES, text)
    except (ArgSpecParseError, ValueError, TypeError) as error:
        raise UsageError(
            what="the pass pipeline is not valid",
            where=f"--passes {text!r}",
            why=str(error),
            fix=f"choose of {', '.join(sorted(PASSES))}, with options as in recompute{{budget=0.4}}",
        ) from error
