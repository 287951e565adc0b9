"""The reference covers every verb, pass and module; `make docs` builds it and checks its links."""

import importlib.util
from pathlib import Path

import pytest

from steelyard.passes.universe import PASSES
from steelyard.runtime.cli.main import MACHINES, MODELS

pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_verb_has_its_help(reference):
    page = reference.verbs()
    for verb in (*MODELS, *MACHINES):
        name = verb.__name__.replace("_", "-")
        assert f"## steelyard {name}\n\n```text\nUsage: steelyard {name} " in page
    assert "## steelyard devices show\n" in page


def test_every_pass_is_documented_by_its_class(reference):
    page = reference.passes()
    for name, load in PASSES.items():
        assert f"## {name}\n\n::: {load().__module__}.{load().__name__}\n" in page


def test_a_room_lists_its_public_modules(reference):
    page = reference.modules(ROOT / "hw" / "links")
    assert page.startswith("# steelyard.hw.links\n")
    assert page.count("\n::: steelyard.hw.links.collective") == 1
    assert "__init__" not in page
