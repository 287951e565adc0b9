"""Every kernel that eager PyTorch runs for the models of the zoo, in inference and training, is known."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from torch import optim

from steelyard.compiler.semantics.registry import work_of

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}
TEXT = SMALL | {"vocab_size": 99}
VISION = SMALL | {"image_size": 32, "patch_size": 8}
WHISPER = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 99,
    "max_source_positions": 8, "max_target_positions": 16, "num_mel_bins": 8, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
CLIP = {"text_config": TEXT | {"bos_token_id": 1, "eos_token_id": 98}, "vision_config": VISION}
SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 8,
    "depths": [2, 2],
    "num_heads": [2, 2],
    "window_size": 4,
}
T5 = {"d_model": 16, "d_kv": 4, "num_heads": 4, "num_layers": 1, "d_ff": 32, "vocab_size": 99}


def ids() -> torch.Tensor:
    return torch.randint(3, 90, (2, 8))


def text() -> dict[str, Any]:
    return {"input_ids": ids(), "labels": ids()}


def image() -> dict[str, Any]:
    return {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 1])}


def speech() -> dict[str, Any]:
    return {"input_features": torch.randn(2, 8, 16), "labels": ids()}


def both() -> dict[str, Any]:
    mask = torch.ones(2, 8, dtype=torch.long)
    return {"input_ids": ids(), "attention_mask": mask, "return_loss": True} | {
        "pixel_values": torch.randn(2, 3, 32, 32)
    }


CAUSAL, IMAGE = tf.AutoModelForCausalLM, tf.AutoModelForImageClassification
GPT2 = tf.GPT2Config(n_embd=16, n_layer=1, n_head=4, vocab_size=99)
MODELS: dict[str, tuple[Any, Any, Callable[[], dict[str, Any]]]] = {
    "gpt2": (CAUSAL, GPT2, text),
    "bert": (tf.AutoModelForMaskedLM, tf.BertConfig(**TEXT), text),
    "llama": (CAUSAL, tf.LlamaConfig(num_key_value_heads=2, **TEXT), text),
    "mixtral": (CAUSAL, tf.MixtralConfig(num_key_value_heads=2, num_local_experts=4, **TEXT), text),
    "t5": (tf.AutoModelForSeq2SeqLM, tf.T5Config(decoder_start_token_id=0, **T5), text),
    "whisper": (tf.AutoModelForSpeechSeq2Seq, tf.WhisperConfig(**WHISPER), speech),
    "clip": (tf.AutoModel, tf.CLIPConfig(projection_dim=16, **CLIP), both),
    "vit": (IMAGE, tf.ViTConfig(**VISION), image),
    "swin": (IMAGE, tf.SwinConfig(**SWIN), image),
    "resnet": (IMAGE, tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2]), image),
    "mobilenet_v2": (IMAGE, tf.MobileNetV2Config(), image),
    "convnext": (IMAGE, tf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2), image),
}
OPTIMIZERS = [
    lambda p: optim.AdamW(p, fused=True),
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
    lambda p: optim.AdamW(p, foreach=True),
    lambda p: optim.AdamW(p, foreach=False),
]


ONE_ATTENTION = {"resnet", "mobilenet_v2", "convnext"}
CASES = [
    (name, way) for name in MODELS for way in ("eager", "sdpa") if way == "eager" or name not in ONE_ATTENTION
]


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_every_kernel_of_a_model_is_understood(name: str, attention: str, record: Callable[[], Any]):
    auto, config, inputs = MODELS[name]
    config._attn_implementation = attention
    model = auto.from_config(config)
    batch = inputs()
    with record() as recorder:
        with torch.no_grad():
            model.eval()(**batch)
        for make in OPTIMIZERS:
            optimizer = make(model.parameters())
            model.train()(**batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert len(recorder.calls) > 100
    unknown = set()
    for call in recorder.calls:
        work = work_of(call)
        if work is None:
            unknown.add(call.name)
            continue
        written = {f"result{i}" for i in range(len(call.results))} | {each for each, _ in call.operands}
        writes = {access.value for space in work.spaces for access in space.writes}
        assert {each.partition("[")[0] for each in writes} <= written, call.name
    assert not unknown
