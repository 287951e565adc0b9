"""The walks of docs/architecture.md: the files are there and passed in that order, and no call climbs."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from typer.testing import CliRunner

import steelyard
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.op_cost.op_latency import LatencyModel
from steelyard.runtime.cli.main import app

ROOT = Path(__file__).parents[2]
PACKAGE = Path(steelyard.__file__).parent
CAPTURE = ("compiler/frontend/", "compiler/blocks/", "runtime/cli/main.py")
LAYERS = ("hw", "compiler", "passes", "runtime")
SECTIONS = {
    title: text.splitlines()
    for title, _, text in (
        section.partition("\n")
        for section in (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("\n## ")
    )
}


def steps(title: str) -> list[list[str]]:
    """Return the files of each step of a walk."""
    rows = [re.findall(r"`((?:hw|compiler|passes|runtime)/[\w/]+\.py)`", line) for line in SECTIONS[title]]
    return [files for files in rows if files]


TEXT = """builtin.module { func.func @forward(
        %x : tensor<512x1024xbf16>, %w : tensor<1024x2048xbf16>) -> tensor<512x2048xbf16> {
    %1 = aten.mm(%x, %w) {path = "fc"} : tensor<512x2048xbf16>
    func.return %1 : tensor<512x2048xbf16> } }"""


@contextmanager
def traced() -> Iterator[tuple[list[str], set[tuple[str, str]]]]:
    """Record the files of the product in the order of their first call, and the calls that go up a layer."""
    passed, climbs = dict[str, None](), set[tuple[str, str]]()

    def watch(frame: FrameType, event: str, _: object) -> None:
        callee = _file(frame) if event == "call" else None
        if callee is None:
            return
        passed.setdefault(callee)
        caller = frame.f_back
        while caller and _file(caller) is None:
            caller = caller.f_back
        name = _file(caller) if caller else None
        if name and _layer(callee) > _layer(name):
            climbs.add((name, callee))

    found = list[str](), climbs
    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(None)
        found[0].extend(passed)


def _file(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(PACKAGE) or path.parent == PACKAGE:  # of no layer: the package itself
        return None
    return path.relative_to(PACKAGE).as_posix()


def _layer(file: str) -> int:
    return LAYERS.index(file.partition("/")[0])


def in_order(files: list[str], passed: list[str]) -> list[str]:
    """Return those of some files that were passed, in the order of their first call."""
    return sorted({*files} & {*passed}, key=passed.index)


def test_every_file_is_there():
    named = {name for title in SECTIONS for files in steps(title) for name in files}
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("title", [title for title in SECTIONS if steps(title)])
def test_a_step_never_climbs(title):
    for files in steps(title):
        layers = [_layer(name) for name in files]
        assert layers == sorted(layers, reverse=True), files


def test_one_gemm_takes_the_way_that_is_described():
    program = parse_program(TEXT)
    annotate(program, Target(device="h100-sxm"))
    (product,) = (op for op in program.walk() if op.name == "aten.mm")
    model = LatencyModel(load_device("h100-sxm"), ExecutionContext(mode="eager"))
    with traced() as (passed, climbs):
        model.time(product)
    for files in steps("One GEMM to its time"):
        assert in_order(files, passed) == files
    assert not climbs


def test_a_program_takes_the_way_that_is_described(tmp_path):
    """What captures a model is left out, which takes seconds; the rest is passed, and two functions go up."""
    (tmp_path / "program.mlir").write_text(TEXT, encoding="utf-8")
    with traced() as (passed, climbs):
        done = CliRunner().invoke(app, ["annotate", str(tmp_path / "program.mlir"), "--device", "h100-sxm"])
    assert done.exit_code == 0
    for files in steps("From a SPEC to the table"):
        here = [name for name in files if not name.startswith(CAPTURE)]
        assert in_order(here, passed) == here
    assert {lower for lower, _ in climbs} <= {"compiler/analysis/liveness.py", "compiler/frontend/lower.py"}
