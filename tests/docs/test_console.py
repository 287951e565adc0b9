"""Every command that the documents show is run, and what they show of its output must be what it prints.

Numbers of a command that measures, or that reads what was measured, may differ; all others may not, but for
how long it took. Blocks of one document run in one folder, in order. `<!-- slow -->` before a block marks it,
`...` stands for lines left out.
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
_MEASURES = re.compile(
    r"steelyard (calibrate|detect-fusion|learn|profile|run|transfer|verify)\b|characterize(?!.*--device)"
    r"|STEELYARD_PROFILES|mine\.toml|local-cpu\.toml|rules\.toml"
)
_TOOK = re.compile(r"(?<=weighed in )[0-9.]+ s")
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
        blurred = _NUMBER if _MEASURES.search(command) else _TOOK
        printed = _normal(_run(command, folder), blurred)
        for chunk in shown.split("...\n"):
            assert _normal(chunk, blurred) in printed, f"{document} shows another output of: {command}"


def _run(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "STEELYARD_PROFILES": ""}
    done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def _normal(text: str, blurred: re.Pattern[str]) -> str:
    return " ".join(blurred.sub("#", text).split())
