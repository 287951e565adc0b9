import pytest

from steelyard.runtime.cli.main import app

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
