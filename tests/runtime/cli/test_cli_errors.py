import errno
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from steelyard.runtime.api import weighing
from steelyard.runtime.cli import main

BAD_INPUT = {
    "hf:gtp2": "did you mean 'gpt2'",
    "hf:gpt2?n_layr=2": "did you mean 'n_layer'?",
    "hf:gpt2?n_embd=65": "divisible",
    "hf:gpt2 --sequence 5000": "1024",
    "hf:gpt2 --batch 0": "batch is 0",
    "hf:gpt2 --batch two": "--batch",
    "hf:gpt2 --dtype float33": "did you mean 'float32'",
    "good.mlir --device h100": "say which: h100-pcie, h100-sxm",
    "good.mlir --by layer": "'module'",
    "good.mlir -o missing/out.mlir": "missing/out.mlir",
    "bad.mlir": "bad.mlir:2:",
    "missing.mlir": "missing.mlir",
    "truncated.pt2": "truncated",
    "hostile.pt2": "--allow-pickle",
    "models.py:branch": "models.py:6",
    "models.py:misfit": "[2, 3] X [4, 4]",
    "missing.py:make": "missing.py",
    "nonsense": "hf:gpt2",
}


MODELS = """import torch

class Branch(torch.nn.Linear):
    def forward(self, x):
        y = x.sum()
        return x if y > 0 else -x

def branch():
    return Branch(1 << 20, 1 << 20), torch.randn(2, 3)

def misfit():
    return torch.nn.Linear(4, 4), torch.randn(2, 3)

def huge():
    return torch.nn.Linear(1 << 20, 1 << 20), torch.randn(2, 1 << 20)
"""


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    good = "builtin.module {\n  func.func @forward() {\n    func.return\n  }\n}\n"
    (tmp_path / "good.mlir").write_text(good)
    (tmp_path / "bad.mlir").write_text(good.replace("@forward()", "@forward("))
    (tmp_path / "truncated.pt2").write_bytes(b"PK\x03\x04" + bytes(64))
    (tmp_path / "models.py").write_text(MODELS)
    with zipfile.ZipFile(tmp_path / "hostile.pt2", "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        archive.writestr("model/data/weights/weight_0.pt", pickle.dumps(Bomb()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leave(arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(shlex.split(arguments))
    return left.value.code


@pytest.mark.parametrize(("arguments", "says"), BAD_INPUT.items())
def test_bad_input_is_one_message_and_exit_code_2(arguments, says, folder, capsys):
    assert leave(f"annotate {arguments}") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err
    assert sum(line.lower().startswith("error: ") for line in err.splitlines()) == 1


def test_nothing_is_logged_beside_the_message(folder):
    command = [Path(sys.executable).parent / "steelyard", "annotate", "models.py:misfit"]
    assert "Traceback" not in subprocess.run(command, capture_output=True, text=True).stderr


def test_a_hostile_archive_does_not_run(folder):
    assert leave("annotate hostile.pt2") == 2
    assert not (folder / "touched").exists()


def test_an_archive_that_its_user_trusts_is_tried(folder, capsys):
    assert leave("annotate hostile.pt2 --allow-pickle") == 2
    assert "cannot read hostile.pt2 as an exported program" in capsys.readouterr().err


def test_no_memory_for_the_weights(folder, capsys):
    # 4 TiB of weights: more than any allocator gives.
    assert leave("verify models.py:huge") == 2
    assert "out of memory" in capsys.readouterr().err


def test_a_program_cannot_be_verified(folder, capsys):
    assert leave("verify good.mlir") == 2
    assert "give the SPEC" in capsys.readouterr().err


def test_no_memory_left(folder, monkeypatch, capsys):
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):
        monkeypatch.setattr(weighing, "load_program", _raising(error))
        assert leave("annotate good.mlir") == 2
        assert "out of memory" in capsys.readouterr().err


def test_interrupt(folder, monkeypatch, capsys):
    monkeypatch.setattr(weighing, "load_program", _raising(KeyboardInterrupt()))
    assert leave("annotate good.mlir") == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_refusal_of_the_system_is_no_bug(folder, monkeypatch, capsys):
    refusal = OSError(errno.ENOSPC, "No space left on device", "a.mlir")
    monkeypatch.setattr(weighing, "load_program", _raising(refusal))
    assert leave("annotate good.mlir") == 2
    assert "a.mlir\n  why: No space left on device" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "code",
    [
        "from steelyard.runtime.cli import main; main(['devices', 'list'])",
        "from steelyard.runtime.cli.opt import main; main(['good.mlir'])",
    ],
)
def test_a_full_disk_is_said(folder, code, unbuffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.count("No space left on device") == 1


def test_a_bug_writes_a_reproducer(folder, monkeypatch, capsys):
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(weighing, "load_program", _raising(ZeroDivisionError("surprise")))
    assert leave("annotate good.mlir --by op") == 70
    err = capsys.readouterr().err
    assert "surprise" in err
    assert "Traceback" not in err
    [file] = folder.glob("steelyard-bug-*.txt")
    assert str(file) in err
    text = file.read_text()
    assert text.startswith("steelyard annotate good.mlir --by op\n")
    assert "ZeroDivisionError: surprise" in text


def _raising(error: BaseException):
    def load(*arguments: object, **named: object) -> None:
        raise error

    return load
