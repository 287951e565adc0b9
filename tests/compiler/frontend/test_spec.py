import io
import json
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
import torch

from steelyard.compiler.frontend.catalog.configurations import parse_huggingface
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.hw.base.errors import CaptureError, UsageError

OPTIONS = CaptureOptions(sequence=8)

MODEL = """
import torch

class Branch(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x

def branch():
    return Branch(), torch.ones(2)

def make():
    layers = torch.nn.Linear(4, 4), torch.nn.Dropout(0.5)
    return torch.nn.Sequential(*layers), (torch.randn(2, 4),), lambda outputs: outputs.mean()

def misfit():
    return torch.nn.Linear(4, 4), (torch.randn(2, 3),)

def nothing():
    return None
"""


@pytest.fixture
def model_file(tmp_path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def test_values_of_a_query_are_literals():
    spec = parse_huggingface(
        "hf:gpt2?n_layer=4&attn_implementation=eager&use_cache=false&depths=[1,2]&rate=1e-5"
    )
    assert spec.model_type == "gpt2"
    assert spec.overrides == {
        "n_layer": 4,
        "attn_implementation": "eager",
        "use_cache": False,
        "depths": [1, 2],
        "rate": 1e-5,
    }


@pytest.mark.parametrize("value", ["[" * 300, "-" * 100_000 + "1", "1" + "+1j" * 100_000, "9" * 5_000])
def test_a_value_that_is_no_literal_is_text(value):
    assert parse_huggingface(f"hf:gpt2?summary_type={quote(value)}").overrides == {"summary_type": value}


def test_a_name_that_is_no_repository_is_an_error():
    with pytest.raises(CaptureError, match="is no name of a repository"):
        parse_huggingface("hf:../x")


def test_unknown_model_type_gets_advice():
    with pytest.raises(CaptureError, match=r"did you mean .*'llama'"):
        load_spec("hf:lama", OPTIONS)


def test_unknown_key_gets_advice():
    with pytest.raises(CaptureError, match="did you mean 'n_layer'"):
        load_spec("hf:gpt2?n_layr=2", OPTIONS)
    with pytest.raises(CaptureError, match=r"text_config\.hidden_size"):
        load_spec("hf:clip?text_config.hiden_size=2", OPTIONS)


def test_rejected_configuration_is_an_error():
    options = CaptureOptions()
    with pytest.raises(CaptureError):
        capture(load_spec("hf:gpt2?n_embd=30&n_head=4", options), options)


@pytest.mark.parametrize(
    ("spec", "limit"), [("hf:gpt2?n_layer=1", 1024), ("hf:whisper?decoder_layers=1", 448)]
)
def test_sequence_beyond_learned_positions(spec, limit):
    options = CaptureOptions(sequence=limit + 1)
    with pytest.raises(CaptureError, match=f"positions for {limit} tokens, and {limit + 1}"):
        capture(load_spec(spec, options), options)


def test_unknown_attention():
    options = CaptureOptions(attention="quick")
    with pytest.raises(CaptureError, match="quick"):
        capture(load_spec("hf:gpt2?n_layer=1", options), options)


def test_text_that_is_no_spec():
    with pytest.raises(UsageError, match="hf:gpt2"):
        load_spec("mine", OPTIONS)


def test_transformers_is_quiet(capfd):
    for spec in ("hf:gpt2?n_layer=1", "hf:t5?num_layers=1"):
        options = CaptureOptions(train=True, sequence=8)
        capture(load_spec(spec, options), options)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_resnet_50_is_the_imagenet_classifier():
    options = CaptureOptions()
    program = capture(load_spec("hf:resnet-50", options), options)
    sizes = [torch.Size(a.spec.shape).numel() for a in program.arguments if a.role == "parameter"]
    assert sum(sizes) == 25_557_032


def test_of_several_classes_that_do_a_task_the_first_is_taken():
    options = CaptureOptions()
    spec = "hf:deit?num_hidden_layers=1&hidden_size=32&num_attention_heads=2&intermediate_size=64"
    built = load_spec(spec, options).build(fake=False)
    assert type(built.module).__name__ == "DeiTForImageClassification"


def test_function_in_a_file(model_file):
    options = CaptureOptions(train=True)
    program = capture(load_spec(f"{model_file}:make", options), options)
    targets = [str(node.target) for node in program.graph.nodes]
    assert "aten.addmm.default" in targets
    assert "aten.native_dropout.default" not in targets
    (mean,) = [node for node in program.graph.nodes if str(node.target) == "aten.mean.default"]
    assert mean.meta["source"] == "model.py:15"


def test_dropout_on_request(model_file):
    options = CaptureOptions(train=True, dropout=True)
    program = capture(load_spec(f"{model_file}:make", options), options)
    assert any("dropout" in str(n.target) or "bernoulli" in str(n.target) for n in program.graph.nodes)


def test_dropout_of_a_configuration_stays_only_where_it_is_asked_for():
    options = CaptureOptions(train=True, sequence=8)
    spec = "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64"
    for text, masks in ((spec, 0), (f"{spec}&embd_pdrop=0.1", 1)):
        program = capture(load_spec(text, options), options)
        assert sum("bernoulli" in str(node.target) for node in program.graph.nodes) == masks


def test_data_dependent_branch_names_its_line(model_file):
    program = capture(load_spec(f"{model_file}:branch", CaptureOptions()), CaptureOptions())
    (said,) = (each for each in program.assumptions if "depends on data" in each)
    assert f"{model_file}:6" in said


def test_shape_that_the_model_rejects(model_file):
    with pytest.raises(CaptureError, match="cannot run"):
        capture(load_spec(f"{model_file}:misfit", CaptureOptions()), CaptureOptions())


def test_function_that_returns_no_model(model_file):
    with pytest.raises(CaptureError, match="returned NoneType"):
        capture(load_spec(f"{model_file}:nothing", CaptureOptions()), CaptureOptions())


def test_missing_function_gets_advice(model_file):
    with pytest.raises(CaptureError, match="did you mean 'make'"):
        load_spec(f"{model_file}:mak", OPTIONS)


@pytest.fixture
def exported(tmp_path) -> Path:
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(module, (torch.randn(2, 4),)), path)
    return path


def rewrite(path: Path, change) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


@pytest.mark.parametrize("train", [False, True])
def test_exported_program(exported, train):
    options = CaptureOptions(train=train)
    program = capture(load_spec(str(exported), options), options)
    assert "aten.relu.default" in [str(node.target) for node in program.graph.nodes]
    assert sorted(a.path for a in program.arguments if a.role == "parameter") == ["0.bias", "0.weight"]


def test_truncated_archive(exported):
    exported.write_bytes(exported.read_bytes()[:3000])
    with pytest.raises(CaptureError, match="truncated"):
        load_spec(str(exported), CaptureOptions()).build(fake=False)


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def test_pickled_object_is_refused_and_not_run(exported, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    bomb = io.BytesIO()
    torch.save(Bomb(), bomb)
    rewrite(exported, lambda name, data: bomb.getvalue() if name.endswith(".pt") else data)
    with pytest.raises(CaptureError, match="pickle"):
        load_spec(str(exported), CaptureOptions()).build(fake=False)
    assert not (tmp_path / "touched").exists()


def test_call_outside_of_the_operators_is_refused(exported):
    def change(name, data):
        return data.replace(b"torch.ops.aten.relu.default", b"torch.ops.load_library.__call__")

    rewrite(exported, change)
    with pytest.raises(CaptureError, match="load_library"):
        load_spec(str(exported), CaptureOptions()).build(fake=False)


def test_weights_as_pickles_are_refused(exported):
    def change(name, data):
        if not name.endswith("weights_config.json"):
            return data
        config = json.loads(data)
        for entry in config["config"].values():
            entry["use_pickle"] = True
        return json.dumps(config).encode()

    rewrite(exported, change)
    with pytest.raises(CaptureError, match="asks for a pickle"):
        load_spec(str(exported), CaptureOptions()).build(fake=False)


def test_option_out_of_range():
    with pytest.raises(UsageError, match="at least 1"):
        CaptureOptions(batch=0)
    with pytest.raises(UsageError, match="did you mean 'bfloat16'"):
        CaptureOptions(dtype="bfloat61")


@pytest.mark.parametrize("named", ["BertForSequenceClassification", "['BertForSequenceClassification']"])
def test_a_spec_names_its_head(named):
    sizes = "num_hidden_layers=1&hidden_size=8&num_attention_heads=2&intermediate_size=16&vocab_size=40"
    options = CaptureOptions(sequence=8, batch=2, train=True, optimizer="none")
    usual = load_spec(f"hf:bert?{sizes}", options).build(fake=True)
    classifier = load_spec(f"hf:bert?{sizes}&architectures={named}", options).build(fake=True)
    assert type(usual.module).__name__ == "BertForMaskedLM"
    assert type(classifier.module).__name__ == "BertForSequenceClassification"
    capture(load_spec(f"hf:bert?{sizes}&architectures={named}", options), options)


def test_texts_to_classify_come_with_their_mask():
    sizes = "num_hidden_layers=1&hidden_size=8&num_attention_heads=2&intermediate_size=16&vocab_size=40"
    options = CaptureOptions(sequence=8, batch=2)
    built = load_spec(f"hf:bert?{sizes}&architectures=BertForSequenceClassification", options).build(
        fake=False
    )
    assert built.inputs["attention_mask"].tolist() == [[1] * 8] * 2


def test_a_head_that_a_type_lacks_is_refused():
    with pytest.raises(CaptureError, match="'bert' has no architecture 'BertForMaskedLN'") as raised:
        load_spec("hf:bert?architectures=BertForMaskedLN", OPTIONS)
    assert "did you mean 'BertForMaskedLM'" in (raised.value.fix or "")


def test_a_model_of_transformers_without_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "steelyard.compiler.frontend.huggingface", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match="the model 'hf:gpt2' cannot be built") as caught:
        load_spec("hf:gpt2", OPTIONS)
    assert caught.value.fix == "install it with: pip install 'steelyard[models]'"
