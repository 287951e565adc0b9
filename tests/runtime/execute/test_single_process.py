import pytest
import torch

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.hw.base.errors import ExecutionError
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments

GPT2 = "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64"


def test_programs_run_from_their_text():
    options = CaptureOptions(batch=2, sequence=8)
    model = load_spec(GPT2, options)
    program = capture(model, options)
    module = parse_program(format_program(import_program(program)))
    built = model.build(fake=False)
    (logits, *_) = compile_program(module)(*order_arguments(module, bind(built, None, program.constants)))
    with torch.no_grad():
        assert torch.equal(logits, built.run().logits)


def test_a_missing_tensor_is_named():
    options = CaptureOptions(batch=2, sequence=8)
    model = load_spec(GPT2, options)
    module = import_program(capture(model, options))
    binding = dict(bind(model.build(fake=False), None))
    del binding["parameter", "transformer.wte.weight"]
    with pytest.raises(ExecutionError, match=r"transformer\.wte\.weight"):
        order_arguments(module, binding)


def test_a_wrong_shape_is_named_with_both_shapes():
    options = CaptureOptions(batch=2, sequence=8)
    model = load_spec(GPT2, options)
    module = import_program(capture(model, options))
    binding = dict(bind(model.build(fake=False), None))
    binding["parameter", "transformer.wte.weight"] = torch.zeros(3, 32)
    with pytest.raises(ExecutionError, match=r"\(64, 32\), the model has \(3, 32\)"):
        order_arguments(module, binding)
