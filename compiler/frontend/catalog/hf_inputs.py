"""Example inputs of any model class of transformers, from its forward's signature and its configuration."""

# pyright: standard

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import torch
from transformers import PretrainedConfig

from steelyard.compiler.frontend.catalog.hf_heads import GENERATIVE
from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype

Inputs = dict[str, Any]

MAX_LAYOUTS = 48
"""Combinations of layouts that are tried."""

_DATA = (
    *("input_ids", "pixel_values", "input_features", "input_values", "audio_values", "bbox"),
    *("past_values", "point_clouds", "audio_codes", "input_audio_embeds", "pixel_values_videos"),
)
"""Inputs given wherever a forward takes them, since they hold a sample; others where they must be."""

_CONTROLS = ("return_dict", "use_cache", "output_attentions", "output_hidden_states", "kwargs", "args")
_WIDTHS = ("hidden_size", "d_model", "embed_dim", "dim", "hidden_dim", "n_embd", "decoder_hidden_size")
_VISION = ("vision", "image", "visual", "backbone", "pixel")
_AUDIO = ("audio", "speech", "acoustic", "encoder")
_TEXT = ("text", "decoder", "language", "llm", "thinker")
_TOKENS_PER_TEXT = 128
_SAMPLES = 16_000
_FRAMES = 256


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that a configuration states, here or in its parts."""

    config: PretrainedConfig

    def find(self, names: Sequence[str], default: Any, parts: Sequence[str] = ()) -> Any:
        """The first of the names that is set: in a part whose name says so, in the whole, in any part."""
        owners = list(_all_parts(self.config))
        named = [part for name, part in owners if any(word in name for word in parts)]
        for owner in (*named, self.config, *(part for _, part in owners)):
            for name in names:
                value = getattr(owner, name, None)
                if isinstance(value, (int, list, tuple)) and not isinstance(value, bool) and value:
                    return value
        return default


@dataclass(frozen=True, slots=True)
class ExampleInputs:
    """Layouts of inputs that a forward may take.

    Attributes:
        cls: The model class.
        config: Its configuration.
        task: The task it is registered for; empty for a bare model.
        options: Batch, sequence and image size.
    """

    cls: Any
    config: PretrainedConfig
    task: str
    options: CaptureOptions

    def layouts(self, count_tokens: Callable[[str, Inputs], int | None]) -> Iterator[Inputs]:
        """Yield inputs in one layout after the other, the most usual first.

        Args:
            count_tokens: Tokens that the features of an `image` or of `audio` become; None if not known.
        """
        names = [name for name in self._names() if name != "input_ids"]
        choices = [list(self._values(name)) for name in names]
        known = [(name, values) for name, values in zip(names, choices, strict=True) if values]
        for values in islice(product(*(values for _, values in known)), MAX_LAYOUTS):
            inputs: Inputs = {}
            for (name, _), value in zip(known, values, strict=True):
                inputs |= value if isinstance(value, dict) else {name: value}
            yield from self._with_ids(inputs, count_tokens)

    def _names(self) -> list[str]:
        parameters = inspect.signature(self.cls.forward).parameters
        taken = set(parameters)
        wanted = [
            name
            for name, each in parameters.items()
            if name not in ("self", *_CONTROLS)
            and (
                name in _DATA
                or name == self.cls.main_input_name
                or (each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD)
            )
        ]
        if "pixel_values" in wanted and "pixel_values_videos" in wanted:
            wanted.remove("pixel_values_videos")
        if "input_features" in wanted and "input_values" in wanted:
            wanted.remove("input_values")
        if not wanted and "inputs_embeds" in taken:
            wanted.append("inputs_embeds")
        if "input_ids" in wanted and self._vocabulary() is None:
            wanted.remove("input_ids")
            wanted += ["inputs_embeds"] * ("inputs_embeds" in taken and not wanted)
        if "input_ids" in wanted and "inputs_embeds" in wanted:
            wanted.remove("inputs_embeds")
        decodes = getattr(self.config, "is_encoder_decoder", False) or "encoder_outputs" in taken
        if decodes and "decoder_input_ids" in taken and "decoder_input_ids" not in wanted:
            wanted.append("decoder_input_ids")
        return wanted

    def _takes(self, name: str) -> bool:
        return name in inspect.signature(self.cls.forward).parameters

    @property
    def _batch(self) -> int:
        return self.options.batch or 1

    @property
    def _dtype(self) -> torch.dtype:
        return parse_dtype(self.options.dtype)

    @property
    def _sizes(self) -> Sizes:
        return Sizes(self.config)

    def _floats(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=self._dtype)

    def _vocabulary(self) -> int | None:
        return self._sizes.find(("vocab_size", "text_vocab_size", "n_vocab"), None, _TEXT)

    def _length(self) -> int:
        limit = self._sizes.find(
            ("max_position_embeddings", "n_positions", "max_target_positions"), 128, _TEXT
        )
        return self.options.sequence or min(_TOKENS_PER_TEXT, limit)

    def _with_ids(
        self, inputs: Inputs, count_tokens: Callable[[str, Inputs], int | None]
    ) -> Iterator[Inputs]:
        if "input_ids" not in self._names():
            yield inputs
            return
        special = _special_tokens(self.config)
        counts = {
            kind: count_tokens(kind, inputs)
            for kind, name in (("image", "pixel_values"), ("audio", "input_features"))
            if name in inputs and kind in special
        }
        marked = [special[kind] for kind, count in counts.items() for _ in range((count or 0) // self._batch)]
        text = max(self._length() - len(marked), 1) if self.options.sequence else self._length()
        vocabulary = self._vocabulary() or 2
        words = torch.randint(0, vocabulary, (self._batch, text))
        for value in _token_values(self.config):
            words[words == value] = next(i for i in range(vocabulary) if i not in _token_values(self.config))
        ids = torch.cat([torch.tensor(marked, dtype=torch.long).expand(self._batch, -1), words], dim=1)
        types = torch.zeros_like(ids)
        for at, kind in enumerate(("image", "video", "audio"), 1):
            if kind in special:
                types[ids == special[kind]] = at
        extra = {"mm_token_type_ids": types} if self._takes("mm_token_type_ids") else {}
        extra |= {"token_type_ids": (types > 0).long()} if self._takes("token_type_ids") and marked else {}
        extra |= {"labels": ids.clone()} if self.options.train and self._is_generative else {}
        if "bbox" in inputs:
            extra["bbox"] = torch.zeros(*ids.shape, 4, dtype=torch.long)
        channels = self._sizes.find(("num_codebooks", "n_codes_total"), None)
        yield {"input_ids": ids} | inputs | extra
        if channels:
            yield {"input_ids": ids[..., None].expand(-1, -1, channels).contiguous()} | inputs
            yield {"input_ids": ids.repeat(channels, 1)} | inputs
            yield {"input_ids": ids[:, None].expand(-1, channels, -1).contiguous()} | inputs

    @property
    def _is_generative(self) -> bool:
        return self.task in GENERATIVE and self._takes("labels")

    def _values(self, name: str) -> Iterator[Any]:
        """The values that an input of this name may have, the most usual first."""
        batch, length = self._batch, self._length()
        sizes = self._sizes
        width = sizes.find(_WIDTHS, 64)
        width = width[-1] if isinstance(width, (list, tuple)) else width
        is_patches = name == "hidden_states" and self._takes("grid_thw")
        if name.startswith("pixel_values") or name in ("images", "image", "pixel_values_list") or is_patches:
            yield from self._images(name)
        elif name in ("input_features", "input_audio_embeds", "audio_features", "spectrogram"):
            yield from self._features(name)
        elif name in ("input_values", "audio_values", "waveform"):
            yield self._floats(batch, _SAMPLES)
            yield self._floats(batch, sizes.find(("audio_channels",), 1), _SAMPLES)
            yield from self._features(name)
        elif name in ("past_values", "future_values"):
            yield from self._series()
        elif name.endswith("input_ids") or name in ("audio_codes", "codes"):
            ids = torch.randint(0, self._vocabulary() or sizes.find(("codebook_size",), 2), (batch, length))
            yield ids
            count = sizes.find(("num_codebooks", "num_quantizers", "n_codebooks", "num_channels"), None)
            if isinstance(count, int):
                yield ids[:, None].expand(-1, count, -1).contiguous()
                yield ids[..., None].expand(-1, -1, count).contiguous()
        elif name == "bbox":
            yield torch.zeros(batch, length, 4, dtype=torch.long)
        elif name.endswith("mask"):
            yield torch.ones(batch, length, dtype=torch.long)
        elif name in ("position_ids", "cache_position"):
            yield torch.arange(length).expand(batch, -1)
        elif name in ("grid_thw", "image_grid_thw"):
            return
        elif name in ("position_embeddings",):
            head = sizes.find(("head_dim",), width // sizes.find(("num_attention_heads",), 1))
            yield (self._floats(batch, length, head), self._floats(batch, length, head))
        elif name.startswith("image_embed") or name in ("image_features", "vision_features"):
            yield self._floats(batch, width, 16, 16)
            yield self._floats(batch, length, width)
        elif name in ("timestep", "timesteps", "time_step"):
            yield torch.ones(batch, dtype=self._dtype)
        elif name in ("return_loss",):
            yield True
        else:
            yield self._floats(batch, length, width)
            yield self._floats(batch, width, length)
            yield self._floats(batch, width, 16, 16)

    def _images(self, name: str) -> Iterator[Any]:
        sizes, batch = self._sizes, self._batch
        channels = sizes.find(("num_channels", "in_channels", "in_chans", "channels"), 3, _VISION)
        channels = channels if isinstance(channels, int) and channels <= 16 else 3
        size = self.options.image_size or sizes.find(("image_size", "img_size", "input_size"), 224, _VISION)
        height, width = (
            (size[-2:] if len(size) > 1 else (*size, *size))
            if isinstance(size, (list, tuple))
            else (size, size)
        )
        patch = sizes.find(("patch_size", "spatial_patch_size"), 14, _VISION)
        patch = patch[-1] if isinstance(patch, (list, tuple)) else patch
        depth = sizes.find(("temporal_patch_size",), 1, _VISION)
        merge = sizes.find(("spatial_merge_size", "merge_kernel_size", "hidden_stride"), 1, _VISION)
        merge = merge[0] if isinstance(merge, (list, tuple)) else merge
        across = max(height // patch // merge, 1) * merge
        inner = channels * patch * patch
        flat = self._floats(batch * across * across, inner * depth)
        grid = torch.tensor([[1, across, across]] * batch)
        for key in ("image_grid_thw", "grid_thw"):
            if self._takes(key):
                yield {name: flat, key: grid}
                yield {name: flat.view(-1, channels, patch, patch), key: grid}
        if self._takes("image_grid_hws") or self._takes("grid_hws"):
            yield {name: flat, "image_grid_hws" if self._takes("image_grid_hws") else "grid_hws": grid[:, 1:]}
        padded = flat[:, :inner].reshape(batch, -1, inner)
        if self._takes("spatial_shapes"):
            shapes = {"spatial_shapes": grid[:, 1:].contiguous()}
            mask = torch.ones(padded.shape[:2], dtype=torch.long)
            for key in ("pixel_attention_mask", "attention_mask"):
                if self._takes(key):
                    yield {name: padded, key: mask} | shapes
        for key in ("image_position_ids", "pixel_position_ids", "pixel_values_position_ids"):
            if self._takes(key):
                places = torch.cartesian_prod(torch.arange(across), torch.arange(across)).expand(
                    batch, -1, -1
                )
                yield {name: padded, key: places.contiguous()}
        extents = (
            {"image_sizes": torch.tensor([[height, width]] * batch)} if self._takes("image_sizes") else {}
        )
        if self._takes("target_sizes"):
            extents["target_sizes"] = grid[:, 1:]
        if self._takes("aspect_ratio_ids"):
            tiles = sizes.find(("max_num_tiles",), 4, _VISION)
            yield {
                name: self._floats(batch, 1, tiles, channels, height, width),
                "aspect_ratio_ids": torch.ones(batch, 1, dtype=torch.long),
                "aspect_ratio_mask": torch.ones(batch, 1, tiles, dtype=torch.long),
            }
        image = self._floats(batch, channels, height, width)
        for each in ({}, extents) if extents else ({},):
            yield {name: image} | each
            yield {name: image[:, None]} | each
        frames = sizes.find(("num_frames", "frames_per_clip", "num_image_with_embedding"), None)
        if isinstance(frames, int) and frames > 1:
            yield {name: self._floats(batch, frames, channels, height, width)} | extents
            yield {name: self._floats(batch * frames, channels, height, width)} | extents
        tiles = self._floats(batch, 5, channels, height, width)
        yield {name: tiles} | extents
        yield {name: padded}
        yield {name: self._floats(batch, across * across, inner + 2)}

    def _features(self, name: str) -> Iterator[torch.Tensor]:
        sizes = self._sizes
        bins = sizes.find(
            (
                "num_mel_bins",
                "input_feat_per_channel",
                "n_mels",
                "feature_size",
                "input_feat_size",
                "input_size",
            ),
            sizes.find(("input_dim", "feature_projection_input_dim", "model_in_dim"), 80, _AUDIO),
            _AUDIO,
        )
        bins = bins if isinstance(bins, int) else 80
        source = sizes.find(("max_source_positions", "max_length"), 0, _AUDIO)
        lengths = dict.fromkeys((2 * source, source, _FRAMES) if source else (_FRAMES,))
        for frames in lengths:
            yield self._floats(self._batch, bins, frames)
            yield self._floats(self._batch, frames, bins)
        height = sizes.find(("spec_size",), _FRAMES)
        yield self._floats(self._batch, 1, 1001 if height == _FRAMES else 1024, bins)

    def _series(self) -> Iterator[Inputs]:
        sizes, batch = self._sizes, self._batch
        context = sizes.find(("context_length", "prediction_length"), 32)
        channels = sizes.find(("num_input_channels", "input_size"), 1)
        lags = sizes.find(("lags_sequence",), [0])
        yield {"past_values": self._floats(batch, context, channels)}
        past, future = context + max(lags), sizes.find(("prediction_length",), 24)
        features = sizes.find(("num_time_features",), 1)
        values = (past,) if channels == 1 else (past, channels)
        yield {
            "past_values": self._floats(batch, *values),
            "past_time_features": self._floats(batch, past, features),
            "past_observed_mask": torch.ones(batch, *values),
            "future_values": self._floats(batch, future, *values[1:]),
            "future_time_features": self._floats(batch, future, features),
        }
        yield {"past_values": self._floats(batch, context)}


def _all_parts(config: PretrainedConfig, path: str = "") -> Iterator[tuple[str, PretrainedConfig]]:
    for name, part in vars(config).items():
        if isinstance(part, PretrainedConfig):
            yield f"{path}{name}", part
            yield from _all_parts(part, f"{path}{name}.")


def _token_values(config: PretrainedConfig) -> set[int]:
    owners = (config, *(part for _, part in _all_parts(config)))
    return {
        value
        for owner in owners
        for key, value in vars(owner).items()
        if key.endswith(("_token_id", "_token_index")) and isinstance(value, int)
    }


def _special_tokens(config: PretrainedConfig) -> dict[str, int]:
    """The token that stands for a feature of an image, a video or audio."""
    found: dict[str, int] = {}
    for owner in (config, *(part for _, part in _all_parts(config))):
        for kind in ("image", "video", "audio"):
            for key in (f"{kind}_token_id", f"{kind}_token_index", f"{kind}_soft_token_id"):
                value = getattr(owner, key, None)
                if isinstance(value, int):
                    found.setdefault(kind, value)
    return found
