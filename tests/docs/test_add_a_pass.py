"""The how-to says what is true: its pass runs, keeps its contract and passes its filecheck test."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.remarks import collecting
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "add-a-pass.md"


@pytest.fixture(scope="module")
def made() -> dict:
    names: dict = {}
    code = "\n".join(re.findall(r"```python\n(.*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL))
    exec(compile(code, str(HOWTO), "exec"), names)
    return names


def test_the_code_runs(made):
    assert made["_approximate_gelu"]().name == "approximate-gelu"


def test_the_filecheck_test_holds(made, tmp_path):
    (text,) = re.findall(r"```mlir\n(.*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "test.mlir").write_text(text, encoding="utf-8")
    program = parse_program(text)
    annotate(program, Target(device="h100-sxm"))
    with collecting() as remarks:
        made["ApproximateGeluPass"](under="h.0").apply(make_context(), program)
    command = [Path(sys.executable).with_name("filecheck"), tmp_path / "test.mlir"]
    checked = subprocess.run(command, input=format_program(program), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert [(remark.kind, remark.where) for remark in remarks] == [("passed", "h.0.act")]
