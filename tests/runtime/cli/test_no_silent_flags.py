"""Every flag that says how a model is weighed changes the result, or is refused: none is ignored.

This file captures models (frontend.torch).
"""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
import torch
from typer.main import get_command

from steelyard.runtime.cli.main import app, main

TEXT = "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64"
IMAGE = "hf:resnet?depths=[1,1,1,1]&hidden_sizes=[8,8,8,8]&embedding_size=8"
FILE = """
import torch
from torch import nn


def make():
    return nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), torch.randn(4, 8)


def sized(batch, sequence):
    return nn.Linear(8, 8), torch.randn(batch, sequence, 8)
"""
VALUES = {
    "--train": [],
    "--batch": ["3"],
    "--sequence": ["24"],
    "--image-size": ["64"],
    "--dtype": ["bf16"],
    "--attention": ["eager"],
    "--optimizer": ["sgd"],
    "--optimizer-implementation": ["for-loop"],
    "--autocast": ["bf16"],
    "--dropout": [],
    "--channels-last": [],
    "--device": ["h100-sxm"],
    "--context": ["graph"],
    "--tf32": [],
    "--software": ["torch-2.1"],
    "--by": ["op"],
    "--shapes": [],
}
OTHERS = {"--format", "-o", "--memory-timeline", "--strict", "--fusion-rules", "--depth", "--allow-pickle"}
"""Flags of the output and its most, and of what is checked or allowed."""
KINDS = ("text", "image", "file", "sized file", "program", "exported program")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("specs")
    (folder / "made.py").write_text(FILE)
    exported = torch.export.export(torch.nn.Linear(8, 8), (torch.randn(4, 8),))
    torch.export.save(exported, folder / "linear.pt2")
    weigh(f"{folder}/made.py:make", "-o", f"{folder}/linear.mlir")
    names = (TEXT, IMAGE, *(f"{folder}/{each}" for each in ("made.py:make", "made.py:sized", "linear.mlir")))
    return dict(zip(KINDS, (*names, f"{folder}/linear.pt2"), strict=True))


def weigh(spec: str, *flags: str) -> dict[str, object]:
    """What the command prints, without the time it took; the message where it is refused."""
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as left, redirect_stdout(out), redirect_stderr(err):
        main(["annotate", spec, "--format", "json", *flags])
    if left.value.code:
        assert left.value.code == 2, err.getvalue()
        return {"refused": err.getvalue()}
    return {name: each for name, each in json.loads(out.getvalue()).items() if name != "seconds"}


def test_every_flag_has_a_value_here():
    flags = {flag.opts[0] for flag in get_command(app).commands["annotate"].params}  # pyright: ignore
    assert flags - {"spec"} == set(VALUES) | OTHERS


@pytest.mark.parametrize("trains", [False, True])
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "image")) for kind in KINDS]
)
def test_no_flag_is_ignored(kind: str, trains: bool, specs: dict[str, str]):
    always = ["--train"] * trains
    plain = weigh(specs[kind], *always)
    if "refused" in plain:
        assert "no effect" in str(plain["refused"])  # a program in a file does not train anew
        return
    for flag, value in VALUES.items():
        if trains and flag == "--train":
            continue
        changed = weigh(specs[kind], *always, flag, *value)
        refused = str(changed.get("refused", ""))
        assert "no effect" in refused or (not refused and changed != plain), f"{flag} on {kind}: {refused}"
