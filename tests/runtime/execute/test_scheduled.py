"""Programs whose ops changed places compute the same, and hold what was predicted."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.reorder.schedule_memory import ScheduleMemoryPass
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments
from steelyard.runtime.timing.steady_state import measure_peak_bytes

VECTOR = "tensor<8xf32>"
OPS = (
    "add.Tensor",
    "mul.Tensor",
    "sigmoid",
    "relu_",
    "add_.Tensor",
    "view",
    "cumsum",
    "rand_like",
    "bernoulli_.float",
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0), st.integers(0)), min_size=2, max_size=14))
def test_results_are_equal(made: list[tuple[str, int, int]]):
    names, lines = ["%a", "%b"], list[str]()
    for index, (op, one, other) in enumerate(made):
        first, second = names[one % len(names)], names[other % len(names)]
        binary = op in ("add.Tensor", "mul.Tensor", "add_.Tensor")
        given_ = {"view": f"{first}, [8]", "cumsum": f"{first}, 0", "bernoulli_.float": f"{first}, 0.5"}
        lines.append(
            f"%v{index} = aten.{op}({f'{first}, {second}' if binary else given_.get(op, first)}) : {VECTOR}"
        )
        names.append(f"%v{index}")
    lines += [f"program.drop %v{k} : {VECTOR}" for k in range(0, len(made), 3)]
    text = (
        f"builtin.module {{ func.func @forward(%a : {VECTOR}, %b : {VECTOR}) -> ({VECTOR}, {VECTOR}) {{\n"
        + "\n".join(lines)
        + f"\nfunc.return {names[-1]}, {names[2]} : {VECTOR}, {VECTOR} }} }}"
    )
    found = []
    for scheduled in (False, True):
        module = parse_program(text)
        if scheduled:
            ScheduleMemoryPass().apply(make_context(), module)
            module.verify()
        arguments = [torch.linspace(-1, 1, 8), torch.linspace(2, -2, 8)]
        torch.manual_seed(0)
        found.append([*compile_program(module)(*arguments), *arguments])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    "spec",
    [
        "hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=512",
        "hf:mobilenet_v2?depth_multiplier=0.35&image_size=64",
    ],
)
def test_a_model_gives_the_same_and_peaks_where_it_should(spec: str, train: bool):
    options = CaptureOptions(
        train=train, batch=2, return_grads=train, sequence=None if "mobile" in spec else 32
    )
    model = load_spec(spec, options)
    program = capture(model, options)
    found = []
    for scheduled in (False, True):
        module = import_program(program)
        annotate(module, Target(threads=torch.get_num_threads()))
        if scheduled:
            ScheduleMemoryPass().apply(make_context(), module)
        binding = bind(*build_real(model, options), program.constants)
        arguments, run = order_arguments(module, binding), compile_program(module)
        results = [value.clone() for value in run(*arguments)]
        found.append([*results, *(value.clone() for value in arguments)])
        del results
        memory = read_totals(module)["memory"]
        assert measure_peak_bytes(lambda r=run, a=arguments: r(*a), binding.values()) == pytest.approx(
            memory["peak_bytes"],  # pyright: ignore
            rel=1e-4,
        )
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert (
        read_totals(module)["schedule"]["peak_bytes"] < read_totals(module)["schedule"]["peak_bytes_before"]
    )  # pyright: ignore
