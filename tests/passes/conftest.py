from collections.abc import Callable

import pytest
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass

Chain = Callable[..., ModuleOp]


@pytest.fixture
def chain() -> Chain:
    """Makes an annotated training step of layers, each a product and a gelu."""
    return _chain


def _chain(layers: int, rows: int = 256, width: int = 64, device: str = "h100-sxm") -> ModuleOp:
    tensor, weight = f"tensor<{rows}x{width}xf32>", f"tensor<{width}x{width}xf32>"
    arguments = ", ".join(["%y0 : " + tensor, *(f"%w{k} : {weight}" for k in range(layers))])
    forward, backward = '{phase = "forward"}', '{phase = "backward"}'
    lines: list[str] = []
    for k in range(layers):
        lines.append(f"%x{k} = aten.mm(%y{k}, %w{k}) {forward} : {tensor}")
        lines.append(f"%y{k + 1} = aten.gelu(%x{k}) {forward} : {tensor}")
    lines.append(f"%g{layers} = aten.mul.Tensor(%y{layers}, %y{layers}) {backward} : {tensor}")
    for k in reversed(range(layers)):
        lines.append(f"%d{k} = aten.gelu_backward(%g{k + 1}, %x{k}) {backward} : {tensor}")
        lines.append(f"%t{k} = aten.t(%y{k}) {backward} : tensor<{width}x{rows}xf32>")
        lines.append(f"%dw{k} = aten.mm(%t{k}, %d{k}) {backward} : {weight}")
        lines.append(f"%wt{k} = aten.t(%w{k}) {backward} : {weight}")
        lines.append(f"%g{k} = aten.mm(%d{k}, %wt{k}) {backward} : {tensor}")
    results = ", ".join(f"%dw{k}" for k in range(layers))
    types = ", ".join([weight] * layers)
    body = "\n".join(lines)
    module = parse_program(
        f"builtin.module {{ func.func @step({arguments}) -> ({types}) {{\n{body}\n"
        f"func.return {results} : {types} }} }}"
    )
    latency = AnnotateLatencyPass(device=device, context="graph")
    for each in (AnnotateCostPass(), latency, AnnotateMemoryPass()):
        each.apply(make_context(), module)
    return module
