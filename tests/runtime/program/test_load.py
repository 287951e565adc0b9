import io

import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.cli.main import app
from steelyard.runtime.program import load

PROGRAM = """
func.func @forward(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %y = aten.relu(%x) : tensor<4x4xf32>
  func.return %y : tensor<4x4xf32>
}
"""


@pytest.fixture
def stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PROGRAM))


def test_a_program_from_stdin_to_stdout_and_nothing_else(stdin, capsys):
    app(["annotate", "-", "-o", "-"], standalone_mode=False)
    out, err = capsys.readouterr()
    assert out.startswith("builtin.module")
    assert out.endswith("}\n")
    assert "aten.relu(" in out
    assert "A forward pass takes" in err


def test_a_program_takes_no_options_of_a_capture(stdin):
    with pytest.raises(UsageError, match="--batch has no effect"):
        load.load_program("-", {"batch": 2})
