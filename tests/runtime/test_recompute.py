"""Programs rewritten by recompute, run: the same results bit by bit, in the memory predicted."""

import gc
from typing import Any

import pytest
import torch
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.context import make_context
from steelyard.compiler.frontend.capture import capture
from steelyard.compiler.frontend.import_graph import import_program
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.training_step import build_real
from steelyard.compiler.text import format_program, parse_program
from steelyard.passes.recompute import RecomputePass
from steelyard.passes.totals import read_totals
from steelyard.runtime.execute import bind, compile_program, order_arguments
from steelyard.runtime.measure import measure_peak_bytes
from steelyard.runtime.pipeline import Target, annotate_program

_TEXT = "hidden_size=32&intermediate_size=64&num_hidden_layers=4&num_attention_heads=2&vocab_size=64"
MODELS = {
    "gpt2": "hf:gpt2?n_layer=4&n_embd=32&n_head=2&vocab_size=64",
    "llama": f"hf:llama?{_TEXT}&num_key_value_heads=1",
    "mixtral": f"hf:mixtral?{_TEXT}&num_key_value_heads=1&num_local_experts=4",
    "resnet": "hf:resnet?depths=[2,2,1,1]&hidden_sizes=[32,64,64,64]&embedding_size=16",
}


class Case:
    """A model with random weights and its training step."""

    def __init__(self, spec: str, **choices: Any) -> None:
        options = CaptureOptions(train=True, return_grads=True, **choices)
        model = load_spec(spec, options)
        program = capture(model, options)
        self.module = import_program(program)
        annotate_program(self.module, Target(threads=torch.get_num_threads()))
        self._built, self._optimizer = build_real(model, options)
        self._binding = bind(self._built, self._optimizer, program.constants)

    def rewritten(self, budget: float) -> ModuleOp:
        module = self.module.clone()
        RecomputePass(budget=budget).apply(make_context(), module)
        module.verify()
        return parse_program(format_program(module))

    def run(self, module: ModuleOp) -> list[torch.Tensor]:
        """Results, then what became of the arguments."""
        arguments = [tensor.clone() for tensor in order_arguments(module, self._binding)]
        torch.manual_seed(0)
        return [*compile_program(module)(*arguments), *arguments]

    def measure(self, module: ModuleOp) -> int:
        arguments = [tensor.clone() for tensor in order_arguments(module, self._binding)]
        run = compile_program(module)
        run(*arguments)
        gc.collect()
        return measure_peak_bytes(lambda: run(*arguments), arguments)


def peak_bytes(module: ModuleOp) -> int:
    memory: Any = read_totals(module)["memory"]
    return memory["peak_bytes"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dropout", [False, True])
def test_results_and_gradients_are_equal_bit_by_bit_and_the_peak_is_the_predicted(name: str, dropout: bool):
    sizes = {"image_size": 32} if name == "resnet" else {"sequence": 32}
    case = Case(MODELS[name], batch=4, dropout=dropout, **sizes)
    expected = case.run(case.module)
    for budget in (0.8, 0.4):
        module = case.rewritten(budget)
        assert "recomputed" in format_program(module)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(case.run(module), expected, strict=True))
        assert peak_bytes(module) < peak_bytes(case.module)
        if name != "resnet":  # scratch of convolutions is a model
            assert case.measure(module) == peak_bytes(module)
