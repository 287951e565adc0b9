"""Every command that the documents show is run, and what they show of its output must be what it prints.

Numbers may differ, since models and device files are refined; names and form may not. Blocks of one document
run in one folder, in order. `<!-- slow -->` before a block marks it, `...` stands for lines left out.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "docs/tutorial.md",
    "docs/howto/fit-a-model.md",
    "docs/howto/profile.md",
    "docs/howto/learn-kernels.md",
    "docs/howto/recompute.md",
    "docs/howto/schedule-memory.md",
)
_BLOCK = re.compile(r"(<!-- slow -->\n)?```(console|mlir (\S+))\n(.*?)```", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9][0-9,.]*(e[+-]?[0-9]+)?%?( ?([kMGT]?FLOP|[KMGT]iB|B|us|ms|s)\b)?")


def _blocks():
    for document in DOCUMENTS:
        for index, match in enumerate(_BLOCK.finditer((ROOT / document).read_text(encoding="utf-8"))):
            slow, _, file, text = match.groups()
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(document, file, text, id=f"{document}-{index}", marks=marks)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    return {document: tmp_path_factory.mktemp("docs") for document in DOCUMENTS}


@pytest.mark.parametrize(("document", "file", "text"), list(_blocks()))
def test_block(document, file, text, folders):
    folder = folders[document]
    if file:
        (folder / file).write_text(text, encoding="utf-8")
        return
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        while command.endswith("\\"):
            line, _, shown = shown.partition("\n")
            command = f"{command[:-1]}{line}"
        printed = _run(command, folder)
        for chunk in shown.split("...\n"):
            assert _normal(chunk) in printed, f"{document} shows another output of: {command}"


def _run(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return _normal(done.stdout)


def _normal(text: str) -> str:
    return " ".join(_NUMBER.sub("#", text).split())
