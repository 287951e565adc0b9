"""Reference pages, generated while the site is built: verbs, passes, and the modules of every room.

A hook of MkDocs. The pages exist in the built site only; their sources are what `--help` prints and the
docstrings, which mkdocstrings reads without importing them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command
from typer.testing import CliRunner

from steelyard.passes.universe import PASSES
from steelyard.runtime.cli.main import app

ROOT = Path(__file__).parents[1]
WINGS = ("hw", "compiler", "passes", "runtime")
WIDTH = 100
PASS_OPTIONS = (
    "{show_root_heading: false, skip_local_inventory: true, filters: ['!^_', '!^apply$', '!^name$']}"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the how-tos and the reference to the navigation."""
    howtos = [path.relative_to(ROOT / "docs").as_posix() for path in sorted(ROOT.glob("docs/howto/*.md"))]
    wings = [{wing: [_page(room) for room in _rooms(wing)]} for wing in WINGS]
    reference = ["reference/verbs.md", "reference/steelyard-opt.md", *wings]
    config.nav = [*(config.nav or []), {"How to": howtos}, {"Reference": reference}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those under docs/."""
    pages = {"index.md": home(), "reference/verbs.md": verbs(), "reference/steelyard-opt.md": passes()}
    pages |= {_page(room): modules(room) for wing in WINGS for room in _rooms(wing)}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def home() -> str:
    """Return the README, with links as seen from the folder docs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    inside = text.replace("](docs/", "](")
    return re.sub(r"\[([^]]+)\]\((CONTRIBUTING.md|LICENSE)\)", r"\1", inside)


def verbs() -> str:
    """Return the help of every verb as `--help` prints it."""
    return "\n".join(["# Verbs", *_help(get_command(app), ())])


def _help(command: object, path: tuple[str, ...]) -> Iterator[str]:
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="steelyard", terminal_width=WIDTH)
    yield from ("", f"## {' '.join(('steelyard', *path))}", "", "```text", shown.stdout.strip(), "```")
    for name, verb in getattr(command, "commands", {}).items():
        yield from _help(verb, (*path, name))


def passes() -> str:
    """Return every pass of `steelyard-opt`, with its options."""
    usage = "`steelyard-opt program.mlir -p 'PASS{OPTION=VALUE},...' -o program.mlir`"
    lines = ["# steelyard-opt", "", usage]
    for name, load in PASSES.items():
        identifier = f"{load().__module__}.{load().__name__}"
        lines += ["", f"## {name}", "", f"::: {identifier}", f"    options: {PASS_OPTIONS}"]
    return "\n".join(lines)


def modules(room: Path) -> str:
    """Return the public names of the modules of a room."""
    name = ".".join(("steelyard", *room.relative_to(ROOT).parts))
    lines = [f"# {name}", "", f"::: {name}", "    options: {show_root_heading: false, members: false}"]
    for path in sorted(room.glob("[!_]*.py")):
        lines += ["", f"::: {name}.{path.stem}"]
    return "\n".join(lines)


def _rooms(wing: str) -> list[Path]:
    return sorted(path.parent for path in (ROOT / wing).rglob("__init__.py"))


def _page(room: Path) -> str:
    return f"reference/{'/'.join(room.relative_to(ROOT).parts)}/index.md"
