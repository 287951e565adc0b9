import json
import subprocess
import sys

import pytest
from huggingface_hub import constants

from steelyard.compiler.frontend.catalog.configurations import parse_huggingface
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.hw.base.errors import CaptureError, UsageError

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "quantization_config": {"quant_method": "fp8"},
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0",
    "vocab_size": 100,
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_a_local_configuration_is_a_model(folder):
    options = CaptureOptions(sequence=8)
    for text in (f"{folder}", f"{folder}/config.json", f"hf:{folder}"):
        program = capture(load_spec(f"{text}?num_hidden_layers=1", options), options)
        shapes = [tuple(a.spec.shape) for a in program.arguments if a.role == "parameter"]
        assert shapes.count((64, 128)) == 1
        assert (100, 64) in shapes
        assert program.assumptions == ("weights that are published quantized are weighed in float32",)


def test_changes_reach_inside_a_published_configuration():
    parsed = parse_huggingface("clip-vit-large?text_config.num_hidden_layers=2")
    model = load_spec("clip-vit-large?text_config.num_hidden_layers=2", CaptureOptions())
    assert parsed.model_type == "clip"
    assert model.config.text_config.num_hidden_layers == 2
    assert model.config.text_config.hidden_size == 768
    assert model.config.vision_config.num_hidden_layers == 24


def test_a_repository_comes_from_the_cache_of_the_hub(folder, tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("hub")
    snapshot = cache / "models--owner--name" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    (cache / "models--owner--name" / "refs").mkdir()
    (cache / "models--owner--name" / "refs" / "main").write_text("0123")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert parse_huggingface("hf:owner/name").base["hidden_size"] == 64
    with pytest.raises(CaptureError, match="not on this machine") as error:
        parse_huggingface("hf:owner/other")
    assert str(cache) in str(error.value)
    assert error.value.fix == "fetch it with: hf download owner/other config.json"


def test_a_repository_that_is_not_cached_may_be_a_preset():
    parsed = parse_huggingface("hf:meta-llama/llama-3.1-8b?num_hidden_layers=1")
    assert (parsed.model_type, parsed.base["vocab_size"]) == ("llama", 128256)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "no table"),
        ("{", "cannot be read"),
        ('{"a": ' * 100_000, "cannot be read"),
        ("{}", "has no model_type"),
        ('{"model_type": "mine"}', "transformers has no model of that type"),
    ],
)
def test_a_configuration_that_is_none(tmp_path, text, says):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CaptureError, match=says if says != "no table" else "not a table"):
        parse_huggingface(f"{tmp_path}/config.json")


@pytest.mark.parametrize(
    ("spec", "fix"),
    [
        ("hf:lama", "did you mean 'llama'"),
        ("hf:llama-3.1-8", "'llama-3.1-8b'"),
        ("qwen3-32", "'qwen3-32b'"),
        ("bert", "write hf:bert"),
        ("meta-llama/Llama-9-1B", "write hf:meta-llama/Llama-9-1B"),
        ("model.py", "model.py:make"),
    ],
)
def test_a_mistyped_name_is_answered_without_torch(spec, fix):
    code = (
        "import sys; from steelyard.runtime.program.load import load_program\n"
        f"try: load_program({spec!r}, {{}})\n"
        "except Exception as error: print(error.fix, {'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fix in done.stdout
    assert done.stdout.endswith("set()\n")


@pytest.mark.parametrize(("spec", "flag"), [("hf:resnet", {"sequence": 7}), ("hf:gpt2", {"image_size": 7})])
def test_an_option_without_effect_is_refused(spec, flag):
    options = CaptureOptions(**flag)
    with pytest.raises(UsageError, match="has no effect"):
        capture(load_spec(spec, options), options)
