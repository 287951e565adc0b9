"""Models of transformers, built from a configuration with random weights; nothing is downloaded."""

# pyright: standard

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from steelyard.compiler.frontend.adapt.assumptions import assume
from steelyard.compiler.frontend.any_head import (
    build_module,
    fit_inputs,
    loss_or_mean,
    quiet,
    single_sequences,
)
from steelyard.compiler.frontend.catalog.hf_heads import GENERATIVE, registered_heads
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions, no_effect
from steelyard.compiler.frontend.zoo import Task, find_heads, find_token_limit, takes_more_than_text
from steelyard.hw.base.errors import CaptureError, did_you_mean

_DROPOUT_WORDS = ("dropout", "pdrop", "drop_path_rate", "layerdrop", "dropout_rate", "dropout_prob")


@dataclass(frozen=True, slots=True)
class HuggingFaceModel:
    """A configuration with its model class and task."""

    spec: str
    config: PretrainedConfig
    head: Any
    task: Task
    options: CaptureOptions

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """Build the model and random inputs; see `LoadedModel`."""
        torch.manual_seed(seed)
        module = build_module(self.head, self.config, self.options, fake=fake)
        self._check_length(module)
        if self.options.attention and not module._supports_sdpa:
            raise no_effect("attention", self.spec, "its attention has one implementation, if it has any")
        inputs = self.task.inputs(self.config, self.options)
        self._require_effect(inputs)
        return BuiltModel(module, inputs, loss_or_mean, frozenset({"labels"}), context=self._step)

    @contextmanager
    def _step(self) -> Iterator[None]:
        if getattr(self.config, "quantization_config", None):
            assume(f"weights that are published quantized are weighed in {self.options.dtype}")
        if self.task.sentence:
            assume(self.task.sentence)
        with single_sequences():
            yield

    def _require_effect(self, inputs: dict[str, Any]) -> None:
        """Refuse a sequence or an image size that no input has."""
        extents = {
            extent for each in inputs.values() if isinstance(each, torch.Tensor) for extent in each.shape
        }
        for name in ("sequence", "image_size"):
            size = getattr(self.options, name)
            if size is not None and size not in extents:
                shapes = {key: tuple(each.shape) for key, each in inputs.items() if hasattr(each, "shape")}
                raise no_effect(name, self.spec, f"its inputs are {shapes}")

    def _check_length(self, module: torch.nn.Module) -> None:
        """Refuse tokens beyond a table of learned positions; a fake lookup does not read its indices."""
        limit, length = find_token_limit(self.config), self.options.sequence
        if limit is None or length is None or length <= limit:
            return
        for name, part in module.named_modules():
            is_positions = "position" in name or name.endswith("wpe")
            if is_positions and isinstance(part, torch.nn.Embedding) and part.num_embeddings == limit:
                raise CaptureError(
                    what=f"{self.spec}: a sequence of {length} is longer than the model allows",
                    where=name,
                    why=f"it has learned positions for {limit} tokens, and {length} are asked for",
                    fix=f"choose a sequence of at most {limit}, or a larger limit in the configuration",
                )


def load_huggingface(
    spec: str,
    model_type: str,
    overrides: dict[str, Any],
    options: CaptureOptions,
    base: dict[str, Any],
) -> HuggingFaceModel:
    """Resolve a model type and changes to its configuration; `text_config.num_hidden_layers` reaches inside.

    `base` holds the keys of a published configuration that the changes apply to.

    `architectures` names the class, as in published configurations; without it, the type's usual head.

    Raises:
        CaptureError: The type, a key or a value is none that transformers knows.
    """
    if model_type not in CONFIG_MAPPING:
        raise CaptureError(
            what=f"unknown model type {model_type!r}",
            where=spec,
            fix=did_you_mean(model_type, CONFIG_MAPPING),
        )
    with quiet():
        config = _make_config(spec, model_type, overrides, options, base)
    head, task = _choose_head(spec, model_type, config, overrides.get("architectures"), options)
    for key, value in task.config:
        if key not in overrides and (not base or getattr(config, key, None) is None):
            setattr(config, key, value)
    return HuggingFaceModel(spec, config, head, task, options)


def _choose_head(
    spec: str, model_type: str, config: PretrainedConfig, named: Any, options: CaptureOptions
) -> tuple[Any, Task]:
    """The class that is named, else the usual one, else the first registered one that takes some inputs."""
    known = find_heads(config)
    heads = [(cls, task, GENERATIVE[0]) for cls, task in known.values()]
    heads += [(cls, None, name) for cls, name in registered_heads(config) if cls.__name__ not in known]
    if named is not None:
        name = str(named[0] if isinstance(named, list) and named else named)
        names = {cls.__name__ for cls, *_ in heads}
        if name not in names:
            raise CaptureError(
                what=f"{model_type!r} has no architecture {name!r}", where=spec, fix=did_you_mean(name, names)
            )
        heads = [head for head in heads if head[0].__name__ == name]
    for cls, task, _ in heads[:1]:
        if task is not None and not (task.is_text and takes_more_than_text(cls)):
            return cls, task
    try:
        return fit_inputs(spec, config, [(cls, name) for cls, _, name in heads], options)
    except CaptureError as error:
        if not heads or heads[0][1] is None:
            raise
        cls, task, _ = heads[0]
        sentence = f"{cls.__name__} is weighed on tokens alone, without images or sound: {error.why}"
        return cls, replace(task, sentence=sentence)


def _make_config(
    spec: str, model_type: str, overrides: dict[str, Any], options: CaptureOptions, base: dict[str, Any]
) -> PretrainedConfig:
    cls = CONFIG_MAPPING[model_type]
    known = _known_keys(cls())
    for key in overrides:
        if key not in known:
            raise CaptureError(
                what=f"{model_type!r} has no key {key!r}", where=spec, fix=did_you_mean(key, known)
            )
    sizes = {key: value for key, value in overrides.items() if key != "architectures"}
    try:
        config = _with_changes(cls, base, _nest(sizes))
    except Exception as error:
        raise CaptureError(
            what=f"{model_type!r} rejects its configuration", where=spec, why=str(error)
        ) from error
    attention = options.attention or overrides.get("attn_implementation")
    if attention is not None:
        config._attn_implementation = attention
    for prefix, part in _all_parts(config):
        _settle(part, options, {key.removeprefix(prefix) for key in overrides if key.startswith(prefix)})
    return config


def _settle(config: PretrainedConfig, options: CaptureOptions, asked: set[str]) -> None:
    """Disable randomness and state across steps, unless requested."""
    if hasattr(config, "use_cache"):
        config.use_cache = False
    if options.dropout:
        return
    for key, value in vars(config).items():
        if key.endswith(_DROPOUT_WORDS) and isinstance(value, float) and key not in asked:
            setattr(config, key, 0.0)


def _with_changes(
    cls: type[PretrainedConfig], base: dict[str, Any], changes: dict[str, Any]
) -> PretrainedConfig:
    """A configuration with changes; of a part that is changed, the rest stays as the whole has it.

    A list with an entry for each layer follows the number of layers.
    """
    default = cls(**base)
    given = base | changes
    for key, part in changes.items():
        inner = getattr(default, key, None)
        if isinstance(inner, PretrainedConfig) and isinstance(part, dict):
            changed = _with_changes(type(inner), _settings(inner, part), part)
            given[key] = changed
    return cls(**_fit_lists(default, given, changes))


def _settings(config: PretrainedConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """The settings of a part that differ from those of its class, and do not follow from the changes."""
    plain = type(config)()
    return {
        key: value
        for key, value in vars(config).items()
        if not key.startswith("_") and (key not in vars(plain) or vars(plain)[key] != value)
    }


def _fit_lists(default: PretrainedConfig, given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The settings with lists of layers cut to the number of layers, where that is less than before."""
    lengths = {
        count: value
        for key, value in changes.items()
        if key.endswith(("layers", "n_layer")) and isinstance(count := getattr(default, key, None), int)
    }
    lists = {
        key: value[: lengths[len(value)]]
        for key, value in vars(default).items()
        if isinstance(value, (list, tuple)) and len(value) in lengths and key not in changes
    }
    shortened = {key: value for key, value in lists.items() if len(value) in lengths.values()}
    return shortened | given | {key: value for key, value in shortened.items() if key in given}


def _known_keys(config: PretrainedConfig, prefix: str = "") -> set[str]:
    own = {"attn_implementation", "num_labels", *config.to_dict(), *config.attribute_map}
    parts = (_known_keys(part, f"{prefix}{name}.") for name, part in _parts(config).items())
    return {f"{prefix}{key}" for key in own}.union(*parts)


def _parts(config: PretrainedConfig) -> dict[str, PretrainedConfig]:
    return {name: part for name, part in vars(config).items() if isinstance(part, PretrainedConfig)}


def _all_parts(config: PretrainedConfig, prefix: str = "") -> Iterator[tuple[str, PretrainedConfig]]:
    """A configuration and all parts in it, each with the prefix of its keys."""
    yield prefix, config
    for name, part in _parts(config).items():
        yield from _all_parts(part, f"{prefix}{name}.")


def _nest(overrides: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in overrides.items():
        *parts, inner = key.split(".")
        owner = nested
        for part in parts:
            owner = owner.setdefault(part, {})
        owner[inner] = value
    return nested
