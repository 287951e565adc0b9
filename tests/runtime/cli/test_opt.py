import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.runtime.cli.opt import main

PROGRAM = """
builtin.module {
  func.func @forward(%a : tensor<4xf32>) -> tensor<4xf32> {
    %1 = aten.relu(%a) : tensor<4xf32>
    func.return %1 : tensor<4xf32>
  }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "a.mlir"
    path.write_text(PROGRAM)
    return str(path)


def leave(*arguments: str) -> object:
    """The exit code of a command."""
    try:
        main(arguments)
    except SystemExit as leaving:
        return leaving.code
    return 0


@pytest.mark.parametrize(
    ("passes", "message"),
    [
        ("annotate-cots", "did you mean 'annotate-cost'"),
        ("annotate-latency", 'requires argument "device"'),
        ("annotate{device=h100}", "'h100' may be 2 devices"),
        ("annotate-cost,annotate-latency{device=k80 context=egaer}", "did you mean 'eager'?"),
        ("annotate-latency{device=k80", "the pass pipeline cannot be parsed"),
    ],
)
def test_a_wrong_pipeline_is_one_clear_error(
    program: str, passes: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(program, "-p", passes) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_malformed_ir_names_line_and_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "b.mlir"
    path.write_text(PROGRAM.replace("aten.relu", "aten.reluu"))
    assert leave(str(path)) == 2
    assert "b.mlir:4:" in capsys.readouterr().err


def test_a_value_that_is_used_too_early_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.mlir"
    relu = "    %1 = aten.relu(%a) : tensor<4xf32>\n"
    path.write_text(PROGRAM.replace(relu, "    program.drop %1 : tensor<4xf32>\n" + relu))
    assert leave(str(path), "-p", "annotate-memory") == 2
    assert "program.drop uses a value before aten.relu defines it" in capsys.readouterr().err


def test_nothing_is_written_where_a_pass_fails(program: str, tmp_path: Path) -> None:
    output = tmp_path / "out.mlir"
    output.write_text("before")
    assert leave(program, "-p", "annotate-latency{device=k80}", "-o", str(output)) == 2
    assert output.read_text() == "before"
    assert leave(program, "-p", "annotate-cost,annotate-latency{device=k80}", "-o", str(output)) == 0
    assert "#cost.latency<" in output.read_text()


def test_the_tool_needs_no_torch(program: str) -> None:
    passes = "annotate{device=k80},outline,inline"
    code = f"""
import sys
from steelyard.runtime.cli.opt import main
main([{program!r}, "-p", {passes!r}])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("text", ["{a = " + "[" * 5000, "builtin.module {" * 5000])
def test_deep_nesting_is_one_clear_error(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep.mlir"
    path.write_text(f"builtin.module attributes {text}" if text.startswith("{") else text)
    assert leave(str(path)) == 2
    assert "nested too deeply" in capsys.readouterr().err


SCALE = '"mylib::scale_twice(Tensor x) -> Tensor"'
RULES = (
    "from steelyard.compiler.semantics.registry import einsum\n\neinsum('mylib.scale_twice', '... -> ...')\n"
)


def test_rules_are_loaded_and_what_they_say_stays_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rules = tmp_path / "own.mlir", tmp_path / "rules.py"
    path.write_text(PROGRAM.replace("aten.relu", f"torch.op {SCALE}"))
    rules.write_text(RULES)
    assert leave(str(path), "-p", "annotate-cost") == 0
    assert "unknown" in capsys.readouterr().out
    written = tmp_path / "weighed.mlir"
    assert leave(str(path), "-p", "annotate-cost", "--load", str(rules), "-o", str(written)) == 0
    code = "import sys; from steelyard.runtime.cli.opt import main; main(sys.argv[1:])"
    elsewhere = [sys.executable, "-c", code, str(written), "-p", "annotate-cost"]
    again = subprocess.run(elsewhere, capture_output=True, text=True, check=True)
    assert again.stdout == written.read_text()
    assert "#cost.work<pointwise f32, flops = [0, 4, 0]" in again.stdout


def test_a_file_of_rules_that_fails_is_named(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text("import not_there")
    assert leave(program, "--load", str(rules)) == 2
    assert "rules.py cannot be run" in capsys.readouterr().err
