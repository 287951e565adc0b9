import re

import pytest

from steelyard.compiler.frontend.source_file import require_function
from steelyard.hw.base.errors import CaptureError

DEFINITIONS = (
    "def make(): ...",
    "make = print",
    "class make: ...",
    "from models import make",
    "from models import build as make",
    "from models import *",
    "if True:\n    def make(): ...",
    "for make in []: ...",
)


@pytest.mark.parametrize("text", DEFINITIONS)
def test_a_name_that_the_file_may_bind_passes(tmp_path, text):
    (tmp_path / "model.py").write_text(text)
    require_function(f"{tmp_path}/model.py", "make")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def male(): ...", "did you mean 'male'"),
        ("", "returns .module, example_inputs."),
        ("def make(:", "SyntaxError"),
        ("make = " + "-" * 100_000 + "1", "cannot be (read|run)"),
    ],
)
def test_a_file_without_the_function_is_refused(tmp_path, text, says):
    (tmp_path / "model.py").write_text(text)
    with pytest.raises(CaptureError) as error:
        require_function(f"{tmp_path}/model.py", "make")
    assert re.search(says, str(error.value))


def test_no_file(tmp_path):
    with pytest.raises(CaptureError, match="there is no file"):
        require_function(f"{tmp_path}/model.py", "make")
