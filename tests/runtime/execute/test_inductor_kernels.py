from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.optimizer import make_optimizer
from steelyard.compiler.frontend.torch.training_step import training_step
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.fusion.fuse import FusePass
from steelyard.runtime.execute.inductor_kernels import FusedKernels, has_compiler
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments

VECTOR = "tensor<8xf32>"
OPS = ("add.Tensor", "mul.Tensor", "sigmoid", "relu_", "view", "cumsum")
TWICE = f"""builtin.module {{ func.func @forward(%a : {VECTOR}) -> {VECTOR} {{
    %1 = aten.sigmoid(%a) : {VECTOR}
    %2 = aten.mul.Tensor(%1, %a) : {VECTOR}
    %3 = aten.cumsum(%2, 0) : {VECTOR}
    %4 = aten.sigmoid(%3) : {VECTOR}
    %5 = aten.mul.Tensor(%4, %3) : {VECTOR}
    func.return %5 : {VECTOR} }} }}"""


def fused(text: str):
    module = parse_program(text)
    annotate(module, Target(device="h100-sxm"))
    FusePass().apply(make_context(), module)
    return parse_program(format_program(module))


def test_equal_kernels_are_compiled_once_and_compute_what_their_ops_do():
    kernels = FusedKernels()
    found = [kernels(op) for op in fused(TWICE).walk() if isinstance(op, FusedOp)]
    assert len(found) == 2
    assert len(kernels) == 1
    x = torch.linspace(-2, 2, 8)
    (result,) = compile_program(fused(TWICE))(x)
    torch.testing.assert_close(result, compile_program(parse_program(TWICE))(x)[0])


def test_a_kernel_takes_tensors_of_any_layout():
    text = TWICE.replace("tensor<8xf32>", "tensor<4x4xf32>")
    (kernel, _) = [op for op in fused(text).walk() if isinstance(op, FusedOp)]
    run = FusedKernels()(kernel)
    x = torch.linspace(-2, 2, 16).view(4, 4)
    for value in (x, x.t()):
        (result,) = run(value)
        torch.testing.assert_close(result, value.sigmoid() * value)
        assert result.stride() == value.stride()


def test_without_a_compiler_it_runs_op_by_op_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    has_compiler.cache_clear()
    x = torch.linspace(-2, 2, 8)
    with pytest.warns(RuntimeWarning, match=r"no C\+\+ compiler") as warned:
        (result,) = compile_program(fused(TWICE))(x)
    has_compiler.cache_clear()
    assert len(warned) == 1
    assert torch.equal(result, compile_program(parse_program(TWICE))(x)[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0), st.integers(0)), min_size=2, max_size=14))
def test_the_order_of_reads_and_writes_is_kept(made: list[tuple[str, int, int]]):
    names, lines = ["%a", "%b"], list[str]()
    for index, (op, one, other) in enumerate(made):
        first, second = names[one % len(names)], names[other % len(names)]
        arguments = {"view": f"{first}, [8]", "cumsum": f"{first}, 0", "sigmoid": first, "relu_": first}
        lines.append(f"%v{index} = aten.{op}({arguments.get(op, f'{first}, {second}')}) : {VECTOR}")
        names.append(f"%v{index}")
    returned = ", ".join(names[2:])
    # Some references end after the last use.
    lines += [f"program.drop %v{k} : {VECTOR}" for k in range(0, len(made), 3)]
    for kept in (returned, names[-1]):
        types = ", ".join([VECTOR] * (kept.count(",") + 1))
        text = (
            f"builtin.module {{ func.func @forward(%a : {VECTOR}, %b : {VECTOR}) -> ({types}) {{\n"
            + "\n".join(lines)
            + f"\nfunc.return {kept} : {types} }} }}"
        )
        arguments = [torch.linspace(-1, 1, 8), torch.linspace(2, -2, 8)]
        expected = compile_program(parse_program(text))(*[value.clone() for value in arguments])
        with patch("steelyard.runtime.execute.inductor_kernels.has_compiler", return_value=False):
            results = compile_program(fused(text))(*arguments)
        assert all(torch.equal(*pair) for pair in zip(results, expected, strict=True))


@pytest.mark.slow
def test_a_fused_training_step_is_that_of_eager_pytorch():
    options = CaptureOptions(train=True, return_grads=True, sequence=32)
    model = load_spec("hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=512", options)
    program = capture(model, options)
    module = fused(format_program(import_program(program)))
    kernels = [op for op in module.walk() if isinstance(op, FusedOp)]
    assert len(kernels) >= 4
    built, eager = model.build(fake=False), model.build(fake=False)
    binding = bind(built, make_optimizer(built.module, options), program.constants)
    results = compile_program(module)(*order_arguments(module, binding))
    expected = training_step(eager, make_optimizer(eager.module, options), options)
    for name, result in zip(expected, results, strict=True):
        torch.testing.assert_close(
            result, expected[name], rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )
