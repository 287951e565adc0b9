"""Model classes that transformers registers for a configuration, whatever their task."""

# pyright: standard

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto as auto

_FIRST = (
    *("IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "CTC", "OBJECT_DETECTION", "UNIVERSAL_SEGMENTATION"),
    *("SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "TIME_SERIES_PREDICTION", "VIDEO_CLASSIFICATION"),
)
_LAST = ("BACKBONE", "TEXT_ENCODING", "AUDIO_TOKENIZATION")
GENERATIVE = ("IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM")
"""Tasks whose labels are the tokens themselves."""


def registered_heads(config: PretrainedConfig) -> Iterator[tuple[Any, str]]:
    """Yield the model classes of a configuration with their task, most specific first.

    Heads precede the bare model, and that what stands in the module of the type alone, such as the vision
    tower of a larger model.
    """
    kind = type(config)
    for task in _tasks():
        mapping = getattr(auto, f"MODEL_FOR_{task}_MAPPING")
        if kind in mapping:
            found = mapping[kind]
            yield from ((cls, task) for cls in (found if isinstance(found, tuple) else (found,)))
    if kind in auto.MODEL_MAPPING:
        found = auto.MODEL_MAPPING[kind]
        yield from ((cls, "") for cls in (found if isinstance(found, tuple) else (found,)))
    yield from ((cls, "") for cls in _classes_beside(kind))


def _tasks() -> list[str]:
    names = (name for name in vars(auto) if name.startswith("MODEL_FOR_") and name.endswith("_MAPPING"))
    tasks = [name.removeprefix("MODEL_FOR_").removesuffix("_MAPPING") for name in names]
    middle = [task for task in tasks if task not in (*_FIRST, *_LAST)]
    return [*_FIRST, *middle, *_LAST]


def _classes_beside(kind: type[PretrainedConfig]) -> list[Any]:
    """Model classes of exactly this configuration, in the modeling module beside it; runnable ones."""
    try:
        module = importlib.import_module(kind.__module__.replace(".configuration_", ".modeling_"))
    except ImportError:
        return []
    classes = [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, PreTrainedModel) and cls.config_class is kind
    ]
    own = [
        cls for cls in classes if cls.forward is not PreTrainedModel.forward and "forward" in _defined(cls)
    ]
    return sorted(own, key=lambda cls: (not cls.__name__.endswith("Model"), len(cls.__name__)))


def _defined(cls: type) -> set[str]:
    """Names that a model class and those of its bases that are models too define."""
    return {
        name for base in cls.__mro__ if base.__module__ != PreTrainedModel.__module__ for name in vars(base)
    }
