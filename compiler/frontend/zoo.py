"""Model class and example inputs of a transformers configuration."""

# pyright: standard

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PretrainedConfig
from transformers.models.auto import modeling_auto as auto

from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype

Inputs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its model classes, and their inputs for a configuration.

    Attributes:
        classes: From configuration class to model class, or to several.
        inputs: Makes the keyword arguments of the model; random, of the active fake mode if there is one.
        config: Defaults of configuration keys that the SPEC does not set.
        is_text: The inputs are tokens alone.
        sentence: The assumption made, where there is one to state.
    """

    classes: Any
    inputs: Callable[[PretrainedConfig, CaptureOptions], Inputs]
    config: tuple[tuple[str, Any], ...] = ()
    is_text: bool = False
    sentence: str = ""


def find_heads(config: PretrainedConfig) -> dict[str, tuple[Any, Task]]:
    """Return the model classes of a configuration with their tasks, by class name.

    The first is the default of a type unless its SPEC names another: BERT is a masked model before it is a
    causal one or a classifier.
    """
    heads: dict[str, tuple[Any, Task]] = {}
    for task in _TASKS:
        if type(config) not in task.classes:
            continue
        found: Any = task.classes[type(config)]
        for cls in found if isinstance(found, tuple) else (found,):
            heads.setdefault(cls.__name__, (cls, task))
    return heads


def takes_more_than_text(cls: Any) -> bool:
    """Whether a forward takes images or sound beside its tokens."""
    names = inspect.signature(cls.forward).parameters.keys()
    return "input_ids" in names and bool({"pixel_values", "input_features", "audio_values"} & names)


def find_token_limit(config: PretrainedConfig) -> int | None:
    """Return the maximum sequence length of a text configuration; None if it has none."""
    names = ("max_position_embeddings", "n_positions", "max_target_positions")
    text = config.get_text_config()
    return next((value for name in names if (value := getattr(text, name, None))), None)


def _tokens(config: PretrainedConfig, options: CaptureOptions) -> torch.Tensor:
    text: Any = config.get_text_config()
    limit = find_token_limit(config) or 128
    return torch.randint(0, text.vocab_size, (options.batch or 1, options.sequence or min(128, limit)))


def _text(config: PretrainedConfig, options: CaptureOptions) -> Inputs:
    tokens = _tokens(config, options)
    return {"input_ids": tokens} | ({"labels": tokens.clone()} if options.train else {})


def _classified_text(config: Any, options: CaptureOptions) -> Inputs:
    """Return padded texts with their attention mask, as from a tokenizer."""
    tokens = _tokens(config, options)
    labels = torch.randint(0, config.num_labels, (len(tokens),))
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    return inputs | ({"labels": labels} if options.train else {})


def _sequence_to_sequence(config: PretrainedConfig, options: CaptureOptions) -> Inputs:
    target = "labels" if options.train else "decoder_input_ids"
    return {"input_ids": _tokens(config, options), target: _tokens(config, options)}


def _speech(config: Any, options: CaptureOptions) -> Inputs:
    frames = 2 * config.max_source_positions
    features = torch.randn(options.batch or 1, config.num_mel_bins, frames, dtype=parse_dtype(options.dtype))
    target = "labels" if options.train else "decoder_input_ids"
    return {"input_features": features, target: _tokens(config, options)}


def _pixels(config: Any, options: CaptureOptions) -> torch.Tensor:
    size = options.image_size or getattr(config, "image_size", 224)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    channels = getattr(config, "num_channels", 3)
    return torch.randn(options.batch or 1, channels, height, width, dtype=parse_dtype(options.dtype))


def _image(config: Any, options: CaptureOptions) -> Inputs:
    pixels = {"pixel_values": _pixels(config, options)}
    if not options.train:
        return pixels
    return pixels | {"labels": torch.randint(0, config.num_labels, (options.batch or 1,))}


def _contrastive(config: Any, options: CaptureOptions) -> Inputs:
    # The text tower has a limit of 77 tokens, and its contrast needs pairs.
    pairs = {"input_ids": _tokens(config, options), "pixel_values": _pixels(config.vision_config, options)}
    return pairs | {"return_loss": options.train}


class _Contrastive:
    """Text-image models whose base class has a contrastive loss."""

    def __contains__(self, config: type[PretrainedConfig]) -> bool:
        return config.model_type in ("clip", "siglip", "chinese_clip", "clipseg")

    def __getitem__(self, config: type[PretrainedConfig]) -> Any:
        return auto.MODEL_MAPPING[config]


class _Speech:
    """Models of speech whose configuration says how many frames of how many bins they take."""

    def __contains__(self, config: type[PretrainedConfig]) -> bool:
        sizes = hasattr(config, "max_source_positions") and hasattr(config, "num_mel_bins")
        return sizes and config in auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING

    def __getitem__(self, config: type[PretrainedConfig]) -> Any:
        return auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING[config]


_TASKS = (
    Task(_Contrastive(), _contrastive),
    Task(_Speech(), _speech),
    Task(
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        _sequence_to_sequence,
        (("decoder_start_token_id", 0),),
        is_text=True,
    ),
    # The published classifiers are of ImageNet; the configurations' own default is 2 labels.
    Task(auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, _image, (("num_labels", 1000),)),
    Task(auto.MODEL_FOR_MASKED_LM_MAPPING, _text, is_text=True),
    Task(auto.MODEL_FOR_CAUSAL_LM_MAPPING, _text, is_text=True),
    Task(auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, _classified_text, is_text=True),
)
