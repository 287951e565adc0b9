"""Models as people write them: captured without data, and what is captured computes what the model does."""

from pathlib import Path

import pytest
import torch

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.hw.base.errors import UsageError
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments

MODELS = Path(__file__).parent / "user_models"
NAMES = {
    "copied.py": ["teacher", "transformer", "padded_encoder"],
    "higher_order.py": [
        *("cond", "mapped", "scanned", "loop", "associative", "checkpointed", "flex", "compiled_flex"),
    ],
    "for_cuda.py": ["factories", "streams", "autocast", "ranges", "generator"],
}


@pytest.mark.parametrize("train", [False, True], ids=["forward", "step"])
@pytest.mark.parametrize("spec", [f"{file}:{name}" for file, names in NAMES.items() for name in names])
def test_the_program_computes_what_the_model_does(spec, train):
    options = CaptureOptions(train=train, return_grads=train)
    model = load_spec(f"{MODELS}/{spec}", options)
    program = capture(model, options)
    module = import_program(program)

    eager, optimizer = build_real(model, options)
    torch.manual_seed(1)
    expected = run_step(eager, optimizer, options)
    built, optimizer = build_real(model, options)
    arguments = order_arguments(module, bind(built, optimizer, program.constants))
    torch.manual_seed(1)
    results = compile_program(module)(*arguments)
    assert program.results == tuple(expected)
    for name, result in zip(program.results, results, strict=True):
        assert torch.equal(result, expected[name]), name
    for (path, ours), theirs in zip(built.module.named_parameters(), eager.module.parameters(), strict=True):
        assert torch.equal(ours, theirs), path


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("higher_order.py:cond", "both branches of torch.cond are weighed, of which a run takes one"),
        (
            "higher_order.py:compiled_flex",
            "flex_attention is weighed as it runs without torch.compile: all scores in memory",
        ),
    ],
)
def test_what_is_taken_for_granted_is_said(spec, sentence):
    options = CaptureOptions()
    assert capture(load_spec(f"{MODELS}/{spec}", options), options).assumptions == (sentence,)


PARAMETERS = """
import torch

def make(batch, sequence=3, *, dtype):
    return torch.nn.Linear(4, 4, dtype=dtype), torch.randn(batch, sequence, 4, dtype=dtype)

def fixed():
    return torch.nn.Linear(4, 4, dtype=torch.float32), torch.randn(2, 4)
"""


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(PARAMETERS)
    return path


def test_a_function_takes_options_as_parameters(own):
    for options, shape in (
        (CaptureOptions(), (1, 3, 4)),
        (CaptureOptions(batch=5, sequence=7, dtype="bf16"), (5, 7, 4)),
    ):
        built = load_spec(f"{own}:make", options).build(fake=False)
        (inputs,) = built.inputs.values()
        assert inputs.shape == shape
        assert f"torch.{options.dtype}" == str(inputs.dtype) == str(built.module.weight.dtype)


@pytest.mark.parametrize("choice", [{"batch": 2}, {"sequence": 2}, {"image_size": 2}, {"dtype": "bf16"}])
def test_an_option_that_a_function_does_not_heed_is_refused(own, choice):
    options = CaptureOptions(**choice)
    with pytest.raises(UsageError, match=f"--{next(iter(choice)).replace('_', '-')} has no effect"):
        capture(load_spec(f"{own}:fixed", options), options)


def test_a_file_imports_its_own_project(tmp_path):
    package = tmp_path / "zoo_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "layers_of_mine.py").write_text("from torch.nn import Linear as Layer")
    (package / "net.py").write_text(
        "import torch\nfrom .layers_of_mine import Layer\n"
        "def make():\n    return Layer(4, 4), torch.randn(2, 4)\n"
    )
    (tmp_path / "main_of_mine.py").write_text(
        "def make():\n    from zoo_of_mine.net import make\n    return make()\n"
    )
    for file in ("main_of_mine.py", "zoo_of_mine/net.py"):
        model = load_spec(f"{tmp_path}/{file}:make", CaptureOptions())
        assert type(model.build(fake=False).module).__name__ == "Linear"
