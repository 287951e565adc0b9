"""Models with any head: inputs that follow from the forward, parts that keep their settings."""

import torch

from steelyard.compiler.frontend.huggingface import load_huggingface
from steelyard.compiler.frontend.options import CaptureOptions

LLAVA = {
    "vision_config.num_hidden_layers": 2,
    "vision_config.image_size": 28,
    "vision_config.patch_size": 14,
    "vision_config.hidden_size": 16,
    "vision_config.intermediate_size": 16,
    "vision_config.num_attention_heads": 2,
    "text_config.num_hidden_layers": 2,
    "text_config.hidden_size": 16,
    "text_config.intermediate_size": 16,
    "text_config.vocab_size": 40_000,
    "text_config.num_attention_heads": 2,
    "text_config.num_key_value_heads": 2,
    "image_seq_length": 4,
}


def test_a_model_of_images_and_text_takes_both():
    model = load_huggingface("hf:llava", "llava", LLAVA, CaptureOptions(), {})
    built = model.build(fake=False)
    tokens = (built.inputs["input_ids"] == model.config.image_token_id).sum()  # pyright: ignore
    assert tokens == (28 // 14) ** 2
    assert torch.isfinite(built.run().logits).all()


def test_a_part_keeps_the_settings_of_the_whole():
    options = CaptureOptions()
    plain = load_huggingface("hf:llava", "llava", {}, options, {}).config
    key = "vision_config.num_hidden_layers"
    changed = load_huggingface("hf:llava", "llava", {key: 24}, options, {}).config
    assert changed.vision_config.to_dict() == plain.vision_config.to_dict()
