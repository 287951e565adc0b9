from xdsl.dialects.func import CallOp

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.structure.inline import InlinePass
from steelyard.runtime.program.load import load_program
from steelyard.runtime.report.format_summary import format_table
from steelyard.runtime.report.module_tree import module_tree
from steelyard.runtime.report.summary import Summary, summarize
from steelyard.runtime.report.verdict import verdict

LAYER = """
    %h{i} = aten.mm({x}, %w{i}) {{phase = "forward", path = "layers.{i}.up"}} : tensor<8x8xf32>
    %y{i} = aten.relu(%h{i}) {{phase = "forward", path = "layers.{i}"}} : tensor<8x8xf32>"""
ARGUMENTS = ", ".join(
    ['%x: tensor<8x8xf32> {program.role = "input", program.path = "x"}']
    + [
        f'%w{i}: tensor<8x8xf32> {{program.role = "parameter", program.path = "layers.{i}.up.w"}}'
        for i in range(2)
    ]
)
FLAT = f"""builtin.module {{
  func.func @forward({ARGUMENTS}) -> tensor<8x8xf32> {{
    {LAYER.format(i=0, x="%x")}{LAYER.format(i=1, x="%y0")}
    func.return %y1 : tensor<8x8xf32>
  }}
}}"""
CALL = """
    %y{i} = func.call @layer({x}, %w{i}) {{path = "layers.{i}"}}
        : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>"""
OUTLINED = f"""builtin.module {{
  func.func @layer(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> {{
    %h = aten.mm(%x, %w) {{phase = "forward", path = "up"}} : tensor<8x8xf32>
    %y = aten.relu(%h) {{phase = "forward"}} : tensor<8x8xf32>
    func.return %y : tensor<8x8xf32>
  }}
  func.func @forward({ARGUMENTS}) -> tensor<8x8xf32> {{
    {CALL.format(i=0, x="%x")}{CALL.format(i=1, x="%y0")}
    func.return %y1 : tensor<8x8xf32>
  }}
}}"""


def weigh(text: str, device: str = "h100-sxm") -> Summary:
    module = parse_program(text)
    annotate(module, Target(device=device))
    return summarize(Analyses(module))


def test_functions_called_twice_count_twice():
    flat, outlined = weigh(FLAT), weigh(OUTLINED)
    assert outlined.rows == flat.rows
    assert outlined.total == flat.total
    assert outlined.latency_us == flat.latency_us
    assert outlined.parameters == flat.parameters


def test_alike_siblings_fold_into_one_row_that_sums_them():
    tree = module_tree(weigh(FLAT))
    layers = tree.children["layers"]
    assert list(layers.children) == ["0", "1"]
    assert layers.figures.flops == tree.figures.flops == 2 * (2 * 8**3 + 8 * 8)
    [folded] = layers.folded().children.values()
    assert folded.name == "0-1 (2 alike)"
    assert folded.figures == layers.figures
    assert folded.children["up"].figures.flops == 2 * 2 * 8**3
    assert folded.children["up"].figures.params == 2 * 8 * 8


def test_siblings_that_differ_stay_apart():
    text = FLAT.replace("layers.1.up", "layers.1.down")
    assert list(module_tree(weigh(text)).folded().children["layers"].children) == ["0", "1"]


def test_verdict_says_what_limits_and_whether_it_fits():
    report = weigh(FLAT)
    h100 = load_device("h100-sxm")
    text = " ".join(verdict(report, h100).split())
    assert "limited by the host" in text
    assert "they fit into the 80.0 GiB" in text
    assert f"At the peak {report.memory.bytes / 1024:.2f} KiB" in text
    assert "at aten.relu in layers.0" in text


def test_verdict_says_that_it_does_not_fit():
    big = FLAT.replace("8x8xf32", "131072x131072xf32")
    assert "DO NOT FIT into the 80.0 GiB" in " ".join(verdict(weigh(big), load_device("h100-sxm")).split())


def test_table_shows_every_module_and_the_coverage():
    table = format_table(weigh(FLAT), load_device("h100-sxm"), "module", 5, 0.0)
    assert "      up " in table
    assert "4 of 4 ops costed" in table
    assert max(map(len, table.splitlines())) <= 110


def test_a_composed_model_is_weighed_as_the_flat_one():
    """Every total, the table of modules and the peak, as text; and the file that is written."""
    spec = "hf:gpt2?n_layer=8&n_embd=32&n_head=2&vocab_size=64"
    choices = {"train": True, "sequence": 16}
    device = load_device("h100-sxm")
    target = Target(device=device.name)
    composed, flat = (load_program(spec, choices, device=device.name, flat=flat) for flat in (False, True))
    assert any(isinstance(op, CallOp) for op in composed.walk())
    assert not any(isinstance(op, CallOp) for op in flat.walk())
    for module in (composed, flat):
        annotate(module, target)
    assert summarize(Analyses(composed)) == summarize(Analyses(flat))
    assert read_totals(composed) == read_totals(flat)
    InlinePass().apply(make_context(), composed)
    for op in (*composed.walk(), *flat.walk()):
        op.attributes = dict(sorted(op.attributes.items()))
    assert format_program(composed) == format_program(flat)
