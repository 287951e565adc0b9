"""Models as people write them: captured without data, and what is captured computes what the model does."""

from pathlib import Path

import pytest
import torch

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments

MODELS = Path(__file__).parent / "user_models"
NAMES = {
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
