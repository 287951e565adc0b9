"""SPECs: resolve the text that names a model to a loaded model."""

# pyright: standard

import ast
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from steelyard.compiler.frontend.model import LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.hw.base.errors import CaptureError, UsageError


@dataclass(frozen=True, slots=True)
class HuggingFaceSpec:
    """`hf:TYPE?key=value&...`: a transformers model type and changes to its configuration."""

    model_type: str
    overrides: dict[str, Any]


def load_spec(text: str, options: CaptureOptions, *, allow_pickle: bool = False) -> LoadedModel:
    """Resolve a SPEC: `hf:TYPE?key=value`, `path/to/file.py:function` or `path/to/file.pt2`.

    Args:
        text: The SPEC.
        options: Shapes, dtype and mode of the model.
        allow_pickle: Load a `.pt2` even if that may run code inside it.

    Raises:
        UsageError: The SPEC has none of these forms, or transformers is missing.
        CaptureError: The model does not exist or cannot be read.
    """
    if text.startswith("hf:"):
        try:
            from steelyard.compiler.frontend.huggingface import load_huggingface
        except ImportError as error:
            raise UsageError(
                what=f"the model {text!r} cannot be built",
                why=f"it comes from transformers, which cannot be imported: {error}",
                fix="install it with: pip install 'steelyard[models]'",
            ) from error

        parsed = parse_huggingface(text)
        return load_huggingface(text, parsed.model_type, parsed.overrides, options)
    if text.endswith(".pt2"):
        from steelyard.compiler.frontend.pt2 import ExportedModel

        return ExportedModel(text, allow_pickle)
    path, _, function = text.rpartition(":")
    if path.endswith(".py") and function.isidentifier():
        from steelyard.compiler.frontend.file_model import load_file

        return load_file(text, options)
    raise UsageError(
        what=f"cannot read the SPEC {text!r}",
        why="it is neither a transformers model, a Python function nor an exported program",
        fix="write hf:gpt2, path/to/file.py:function or path/to/file.pt2",
    )


def parse_huggingface(text: str) -> HuggingFaceSpec:
    """Split `hf:TYPE?key=value&...`; values are Python literals, `true`, `false`, `null` or plain text."""
    model_type, _, query = text.removeprefix("hf:").partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise CaptureError(
            what=f"cannot read the configuration of {text!r}",
            why=str(error),
            fix="write hf:gpt2?n_layer=4&n_head=2",
        ) from error
    return HuggingFaceSpec(model_type, {key: _parse_value(value) for key, value in pairs})


def _parse_value(text: str) -> Any:
    words = {"true": True, "false": False, "null": None, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
