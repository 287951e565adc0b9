"""Names with changes: `NAME?key=value&...`."""

import ast
from typing import Any
from urllib.parse import parse_qsl

from steelyard.hw.base.errors import CaptureError

_WORDS = {"true": True, "false": False, "null": None, "none": None}


def split_query(text: str) -> tuple[str, dict[str, Any]]:
    """Split `NAME?key=value&...`; values are Python literals, `true`, `false`, `null` or plain text.

    Raises:
        CaptureError: What follows the `?` has another form.
    """
    name, _, query = text.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise CaptureError(
            what=f"cannot read the configuration of {text!r}",
            why=str(error),
            fix="write hf:gpt2?n_layer=4&n_head=2",
        ) from error
    return name, {key: _parse_value(value) for key, value in pairs}


def _parse_value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the latter two of deep nesting
        return text
