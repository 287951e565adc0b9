"""Names of a frontend's ops stand where ops are named: passes and hardware models ask for the work."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WINGS = ("compiler", "passes", "hw")
NAMING = ("compiler/dialects", "compiler/semantics", "compiler/frontend", "compiler/emit", "passes/retarget")
"""The rooms of ops: their schemas, their work, capture, emission, and rewrites of one by another."""

ALLOWED = {
    "compiler/ir/context.py": "registers the dialects by their names",
    "passes/sharding/spmd_builder.py": "builds collectives, and the views that order what they gather",
}
OP_NAME = re.compile(r"aten\b|_c10d_functional\b|native_|_scaled_dot|nll_loss|\w+_backward\b|\w+_forward\b")


def _op_names(path: Path) -> Iterator[str]:
    """Strings that name ops; those that stand alone as statements are docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose
        if is_text and OP_NAME.match(node.value):
            yield node.value


def _found() -> dict[str, list[str]]:
    files = (path for wing in WINGS for path in (ROOT / wing).rglob("*.py"))
    names = {path.relative_to(ROOT).as_posix(): [*_op_names(path)] for path in files}
    return {path: each for path, each in names.items() if each and not path.startswith(NAMING)}


def test_no_pass_and_no_model_asks_for_an_op_by_its_name() -> None:
    assert {path: names for path, names in _found().items() if path not in ALLOWED} == {}


def test_what_is_allowed_is_needed() -> None:
    assert ALLOWED.keys() <= _found().keys()


def test_names_of_ops_are_recognized(tmp_path: Path) -> None:
    code = tmp_path / "pass.py"
    code.write_text('"""aten.mm in prose"""\nif name in ("aten.mm", "mse_loss_backward", "backward"): ...\n')
    assert [*_op_names(code)] == ["aten.mm", "mse_loss_backward"]
