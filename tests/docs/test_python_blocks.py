"""The Python that pages show is run, a page in one process; and the first command of the README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/howto/python.md"])
def test_page_runs(page, tmp_path):
    code = "\n".join(_BLOCK.findall((ROOT / page).read_text(encoding="utf-8")))
    assert "import steelyard as sy" in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "A training step takes" in done.stdout


def test_the_readme_begins_with_a_command_and_three_lines_of_python():
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (shell, command), (language, code) = blocks[:2]
    assert (shell, language) == ("sh", "python")
    assert len(list(filter(None, code.splitlines()))) == 3
    verb = command.split()[1:]
    done = subprocess.run(
        [sys.executable, "-c", "from steelyard.runtime.cli import main; main()", *verb],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "A training step takes" in done.stdout, done.stderr
