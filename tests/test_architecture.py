"""The floor plan: imports only point down, rooms have no circles and stay small, docstrings name things."""

import ast
import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINGS = ("hw", "compiler", "passes", "runtime")
FILES = sorted(path for wing in WINGS for path in (ROOT / wing).rglob("*.py"))
ROOMS = sorted({path.parent for path in FILES})
MOST_FILES = 15
LARGER = {
    "runtime/cli": "one file a verb",
    "compiler/semantics/ops": "one file a family of operators",
}
QUESTIONS = ("What ", "Which ", "How ", "Where ")


def _module(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {_module(path) for path in FILES}


def _imports(path: Path) -> set[tuple[str, ...]]:
    """The modules of the product that a file imports, at any depth of its code."""
    found = set[tuple[str, ...]]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = tuple(name.split("."))
            if parts[0] != "steelyard":
                continue
            while parts and parts[1:] not in MODULES:
                parts = parts[:-1]
            found.add(parts[1:])
    return found - {()}


def _edges() -> dict[tuple[str, ...], dict[str, set[str]]]:
    """By room, what in it imports what: its files and the rooms inside it."""
    edges = defaultdict[tuple[str, ...], dict[str, set[str]]](dict)
    for path in FILES:
        if path.name == "__init__.py":
            continue
        importer = _module(path)
        for imported in _imports(path):
            depth = next(
                (i for i, pair in enumerate(zip(importer, imported, strict=False)) if pair[0] != pair[1]),
                None,
            )
            if depth is not None:
                room = edges[importer[:depth]]
                room.setdefault(importer[depth], set()).add(imported[depth])
    return edges


EDGES = _edges()


@pytest.mark.parametrize("room", sorted(EDGES), ids=lambda room: ".".join(room) or "steelyard")
def test_no_circle_between_the_parts_of_a_room(room: tuple[str, ...]) -> None:
    try:
        TopologicalSorter(EDGES[room]).prepare()
    except CycleError as error:
        pytest.fail(f"imports run in a circle: {' <- '.join(error.args[1])}")


def test_imports_between_the_wings_point_down() -> None:
    for upper, lowers in EDGES[()].items():
        assert all(WINGS.index(lower) < WINGS.index(upper) for lower in lowers), (upper, lowers)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_is_small_and_says_what_belongs_there(room: Path) -> None:
    name = str(room.relative_to(ROOT))
    files = [path for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES or name in LARGER, f"{name} has {len(files)} files"
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))


def _docstrings(path: Path) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [text for node in nodes if isinstance(node, documented) and (text := ast.get_docstring(node))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_name_things(path: Path) -> None:
    asking = [text.partition("\n")[0] for text in _docstrings(path) if text.startswith(QUESTIONS)]
    assert not asking


def test_the_command_line_calls_the_api_and_nothing_else():
    """Beside it, it names files, errors, units and spellings of options; `opt` is xDSL's driver."""
    allowed = ("steelyard.runtime.cli", "steelyard.runtime.api", "steelyard.hw.base")
    spelling = "steelyard.compiler.frontend.options"
    for path in sorted((ROOT / "runtime" / "cli").glob("*.py")):
        if path.name == "opt.py":
            continue
        found = re.findall(r"^\s*from (steelyard\.\S+) import", path.read_text(encoding="utf-8"), re.M)
        assert not [each for each in found if not each.startswith(allowed) and each != spelling], path.name
