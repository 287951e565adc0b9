"""The how-to says what is true: a kind is one Python file and one TOML file."""

import re
from pathlib import Path

import pytest

from steelyard.hw.kernels import kinds
from steelyard.hw.kernels.registry import KINDS, load_kinds
from steelyard.hw.tables.parse_dims import parse_dims

HOWTO = Path(__file__).parents[3] / "docs" / "howto" / "add-a-kernel-kind.md"


def test_the_example_is_a_kind_once_its_two_files_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HOWTO.read_text()
    (constants,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    recipe, question = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "transpose.toml").write_text(constants)
    (tmp_path / "transpose.py").write_text(recipe)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    found = load_kinds()
    assert found.keys() - KINDS.keys() == {"transpose"}
    monkeypatch.setitem(KINDS, "transpose", found["transpose"])
    exec(compile(question, str(HOWTO), "exec"), {})
    dims = parse_dims("transpose", {"rows": ["3"], "cols": ["5"]}, lambda row, dim: f"{row}, {dim}")
    assert found["transpose"].model.counts("f32", dims).split(1)[0].touched_bytes == 2 * 4 * 3 * 5
