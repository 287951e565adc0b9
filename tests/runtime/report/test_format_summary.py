import pytest

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.cli.main import app
from steelyard.runtime.report.format_summary import as_record, format_markdown, format_table
from steelyard.runtime.report.summary import Summary, summarize

PROGRAM = """
func.func @forward(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %y = aten.relu(%x) {path = "a_module.with_a_long_name.and_a_longer_one"} : tensor<4x4xf32>
  func.return %y : tensor<4x4xf32>
}
"""


@pytest.mark.parametrize(("columns", "widest"), [(60, 60), (104, 104), (300, 104)])
def test_a_table_fits_the_terminal(columns, widest, tmp_path, monkeypatch, capsys):
    path = tmp_path / "program.mlir"
    path.write_text(PROGRAM)
    monkeypatch.setenv("COLUMNS", str(columns))
    app(["annotate", str(path)], standalone_mode=False)
    table = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert max(map(len, table)) == widest
    assert ("…" in "".join(table)) == (columns == 60)


LAYERS = """builtin.module {
  func.func @layer(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
    %h = aten.mm(%x, %w) {phase = "forward", path = "up"} : tensor<4x8xf32>
    %y = aten.relu(%h) {phase = "forward"} : tensor<4x8xf32>
    func.return %y : tensor<4x8xf32> }
  func.func @step(%x: tensor<4x8xf32> {program.role = "input", program.path = "x"},
      %w: tensor<8x8xf32> {program.role = "parameter", program.path = "layers.0.up.weight"},
      %v: tensor<8x24xf32> {program.role = "parameter", program.path = "head.weight"}) -> tensor<f32> {
    %0 = func.call @layer(%x, %w) {path = "layers.0"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = aten.mm(%0, %v) {phase = "forward", path = "head"} : tensor<4x24xf32>
    %2 = aten.sum(%1) {phase = "loss"} : tensor<f32>
    %3 = aten.add_.Tensor(%v, %v) {phase = "optimizer"} : tensor<8x24xf32>
    func.return %2 : tensor<f32> } }"""


def weigh_layers() -> Summary:
    module = parse_program(LAYERS)
    annotate(module, Target(device="h100-sxm"))
    return summarize(Analyses(module))


def test_the_shapes_of_outputs_are_those_of_the_last_forward_op_of_each_module() -> None:
    summary = weigh_layers()
    assert summary.outputs == {
        "": "4x24xf32", "layers": "4x8xf32",
        "layers.0": "4x8xf32", "layers.0.up": "4x8xf32", "head": "4x24xf32",
    }  # fmt: skip
    given = summary, load_device("h100-sxm"), "module", 5, 0.0
    assert "4x24xf32" not in format_table(*given)
    header, _, model, *_ = format_table(*given, shapes=True).splitlines()
    assert header.split()[:2] == ["module", "output"]
    assert model.split()[:2] == ["(model)", "4x24xf32"]
    assert as_record(*given, shapes=True)["rows"][0]["output"] == "4x24xf32"


def test_what_the_figures_hold_for_and_what_trains_is_said() -> None:
    summary = weigh_layers()
    assert (summary.params, summary.trained) == (256, 192)
    text = format_table(summary, load_device("h100-sxm"), "module", 5, 0.0)
    assert "256 parameters, 75.0% of them train" in text
    assert "holds for: inputs x 4x8xf32; parameters in f32; without dropout; eager on h100-sxm" in text


def test_markdown_has_the_rows_of_the_table() -> None:
    given = weigh_layers(), load_device("h100-sxm"), "module", 5, 0.0
    header, rule, model, *_ = format_markdown(*given).splitlines()
    assert header == "| module | params | FLOPs | bytes | time | share |"
    assert rule == "| --- | --: | --: | --: | --: | --: |"
    assert model.startswith("| (model) | 256 | ")
