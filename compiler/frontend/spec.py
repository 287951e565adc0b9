"""SPECs: resolve the text that names a model to a loaded model."""

# pyright: standard

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compiler.frontend.catalog.configurations import (
    is_configuration,
    model_types,
    parse_huggingface,
)
from steelyard.compiler.frontend.catalog.presets import presets
from steelyard.compiler.frontend.catalog.query import split_query
from steelyard.compiler.frontend.options import CaptureOptions, no_effect
from steelyard.compiler.frontend.source_file import require_function
from steelyard.hw.base.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from steelyard.compiler.frontend.model import LoadedModel

LIBRARIES = ("timm", "torchvision")


def load_spec(text: str, options: CaptureOptions, *, allow_pickle: bool = False) -> "LoadedModel":
    """Resolve a SPEC to its model; a mistyped one is refused before torch is imported.

    Args:
        text: `hf:NAME?key=value` of a model type of transformers or a repository of its hub, a preset such as
            `llama-3.1-8b`, the path of a `config.json` or of a folder with one, `timm:NAME`,
            `torchvision:NAME`, `path/to/file.py:function` or `path/to/file.pt2`.
        options: Shapes, dtype and mode of the model.
        allow_pickle: Load a `.pt2` even if that may run code inside it.

    Raises:
        UsageError: The SPEC has none of these forms, a library is missing, or an option has no effect on it.
        CaptureError: The model does not exist or cannot be read.
    """
    if allow_pickle and not text.endswith(".pt2"):
        raise no_effect("allow_pickle", text, "only a .pt2 may hold code")
    path, _, function = text.rpartition(":")
    library, _, name = text.partition(":")
    if text.endswith(".pt2"):
        return _exported(text, options, allow_pickle)
    if path.endswith(".py") and function.isidentifier():
        require_function(path, function)
        from steelyard.compiler.frontend.file_model import load_file

        return load_file(text, options)
    if library in LIBRARIES:
        return _vision_model(text, library, name, options)
    if text.startswith("hf:") or is_configuration(text):
        return _configured(text, options)
    raise UsageError(
        what=f"cannot read the SPEC {text!r}",
        why="it is no preset, transformers model, Python function, vision model or exported program",
        fix=_advice(text),
    )


def _exported(text: str, options: CaptureOptions, allow_pickle: bool) -> "LoadedModel":
    for name in ("batch", "sequence", "image_size", "attention", "dtype", "dropout", "channels_last"):
        if getattr(options, name) != getattr(CaptureOptions(), name):
            raise no_effect(
                name, text, "an exported program was made with its own", "export it anew with that"
            )
    from steelyard.compiler.frontend.pt2 import ExportedModel

    return ExportedModel(text, allow_pickle)


def _vision_model(text: str, library: str, name: str, options: CaptureOptions) -> "LoadedModel":
    from steelyard.compiler.frontend.catalog.vision_libraries import vision_model
    from steelyard.compiler.frontend.file_model import FileModel

    return FileModel(text, vision_model(library, *split_query(name)), options)


def _configured(text: str, options: CaptureOptions) -> "LoadedModel":
    parsed = parse_huggingface(text)
    try:
        from steelyard.compiler.frontend.huggingface import load_huggingface
    except ImportError as error:
        raise UsageError(
            what=f"the model {text!r} cannot be built",
            why=f"it comes from transformers, which cannot be imported: {error}",
            fix="install it with: pip install 'steelyard[models]'",
        ) from error
    return load_huggingface(text, parsed.model_type, parsed.overrides, options, parsed.base)


def _advice(text: str) -> str:
    """Suggestion for a text that is no SPEC."""
    path = Path(text)
    if path.suffix == ".py":
        return f"name the function in it that returns the model: {text}:make"
    if path.is_dir():
        return f"put a config.json into {text}, or name a file in it"
    name = text.partition("?")[0]
    if name in (model_types() or ()):
        return f"write hf:{text}"
    if text.count("/") == 1 and not path.exists():
        return f"write hf:{text} for a repository of the hub"
    near = did_you_mean(name, presets())
    return (
        near
        if near.startswith("did")
        else "write llama-3.1-8b, hf:gpt2, path/to/file.py:function or path/to/file.pt2"
    )
