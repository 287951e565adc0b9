from collections.abc import Sequence
from dataclasses import astuple

from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass
from steelyard.passes.structure.inline import InlinePass
from steelyard.passes.structure.outline import OutlinePass

ANNOTATE = (AnnotateCostPass(), AnnotateLatencyPass(device="h100-sxm"), AnnotateMemoryPass())
Layer = list[tuple[str, int]]


@st.composite
def layered_texts(draw: st.DrawFn) -> str:
    """Some layers of the same random ops, then a backward that reads what some of them made.

    An op reads a value by its distance; those before the layer are the last of the layer before it.
    """
    op = st.tuples(st.sampled_from(["exp", "relu_", "view", "drop"]), st.integers(1, 4))
    layer: Layer = draw(st.lists(op, min_size=3, max_size=7))
    num_layers = draw(st.integers(3, 6))
    values, lines = ["%x"], list[str]()
    for index in range(num_layers):
        for at, (name, distance) in enumerate(layer):
            source = values[-min(distance, len(values))]
            path = f'{{phase = "forward", path = "h.{index}.m{at % 2}"}}'
            if name == "drop":
                lines.append(f"program.drop {source} : tensor<4xf32>")
                continue
            shape = ", [4]" if name == "view" else ""
            values.append(f"%{len(lines)}")
            lines.append(f"{values[-1]} = aten.{name}({source}{shape}) {path} : tensor<4xf32>")
    saved = draw(st.integers(1, 8))
    for value in values[::-saved]:
        lines.append(f'%{len(lines)} = aten.exp({value}) {{phase = "backward", path = ""}} : tensor<4xf32>')
    body = "\n".join(lines)
    return f"""
    builtin.module {{
      func.func @step(%x : tensor<4xf32> {{program.role = "input", program.path = "x"}}) -> tensor<4xf32> {{
        {body}
        func.return {values[-1]} : tensor<4xf32>
      }}
    }}
    """


def run(module: ModuleOp, passes: Sequence[ModulePass]) -> ModuleOp:
    changed = module.clone()
    for each in passes:
        each.apply(make_context(), changed)
    changed.verify()
    return changed


@given(layered_texts())
@settings(max_examples=40, deadline=None)
def test_totals_and_the_peak_are_those_of_the_flat_program(text: str) -> None:
    module = parse_program(text)
    outlined = run(module, [OutlinePass()])
    assert read_totals(run(outlined, ANNOTATE)) == read_totals(run(module, ANNOTATE))
    assert sorted(map(astuple, liveness(outlined).peak)) == sorted(map(astuple, liveness(module).peak))


@given(layered_texts())
@settings(max_examples=40, deadline=None)
def test_inline_restores_the_program(text: str) -> None:
    module = parse_program(text)
    assert format_program(run(module, [OutlinePass(), InlinePass()])) == format_program(module)


def test_a_layer_of_many_becomes_one_function() -> None:
    layers = 50
    lines = [
        f'%{i + 1}_{k} = aten.{name}(%{i + (k > 0)}_{(k - 1) % 3}) {{path = "h.{i}.act"}} : tensor<4xf32>'
        for i in range(layers)
        for k, name in enumerate(("exp", "sin", "cos"))
    ]
    body = "\n".join(lines)
    text = f"""
    builtin.module {{
      func.func @forward(%0_2 : tensor<4xf32>) -> tensor<4xf32> {{
        {body}
        func.return %{layers}_2 : tensor<4xf32>
      }}
    }}
    """.replace("%", "%v")
    outlined = run(parse_program(text), [OutlinePass()])
    assert len([op for op in outlined.body.ops if isinstance(op, FuncOp)]) == 2
    # The first reads the program's argument, the last makes its result; all others are alike.
    assert len([op for op in outlined.walk() if isinstance(op, CallOp)]) >= layers - 2
