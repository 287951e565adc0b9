"""Exported archives: what torch.export.save writes is read, and what could run code is refused unread."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import Dim
from transformers import GPT2Config, GPT2LMHeadModel

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.pt2_safety import UnsafeArchiveError, write_checked_copy
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.hw.base.errors import CaptureError

GRAPH = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
CONFIG = "data/weights/model_weights_config.json"
Members = dict[str, bytes]


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.table = torch.ones(4)

    def forward(self, given: dict[str, torch.Tensor], mode: str = "plain") -> dict[str, torch.Tensor]:
        rows = given["rows"]
        return {"sum": self.linear(rows) + self.table, "mean": torch.einsum("ij,kj->ik", rows, rows)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.pt2"
    shapes = {"given": {"rows": {0: Dim("rows", min=3, max=64)}}, "mode": None}
    program = torch.export.export(Model(), ({"rows": torch.randn(5, 4)}, "plain"), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


@pytest.fixture
def archive(exported, tmp_path) -> Callable[[Callable[[Members], Any]], Path]:
    """Write the archive anew with its members changed."""

    def write(change: Callable[[Members], Any]) -> Path:
        with zipfile.ZipFile(exported) as old:
            members = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
        changed = change(members)
        path = tmp_path / "changed.pt2"
        with zipfile.ZipFile(path, "w") as new:
            for name, data in (changed or members).items():
                new.writestr(f"model/{name}", data)
        return path

    return write


class Bomb:
    """A pickle that writes a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = str(proof)

    def __reduce__(self) -> Any:
        return open, (self.proof, "w")


def test_what_torch_exports_is_weighed(exported):
    options = CaptureOptions()
    module = import_program(capture(load_spec(str(exported), options), options))
    assert {"aten.addmm", "aten.bmm"} <= {op.name for op in module.walk()}


def test_outputs_of_transformers_and_inputs_by_keyword_are_known(tmp_path):
    config = GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=9, bos_token_id=0, eos_token_id=0)
    ids = torch.ones(1, 4, dtype=torch.long)
    program = torch.export.export(GPT2LMHeadModel(config).eval(), (), {"input_ids": ids, "use_cache": False})
    torch.export.save(program, tmp_path / "gpt2.pt2")
    code = "from steelyard.runtime.cli import main; main(['annotate', 'gpt2.pt2', '--format', 'csv'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def edit(members: Members, name: str, change: Callable[[Any], Any]) -> None:
    value = json.loads(members[name])
    change(value)
    members[name] = json.dumps(value).encode()


def first_placeholder(graph: Any) -> str:
    return next(iter(graph["graph_module"]["graph"]["inputs"]))["as_tensor"]["name"]


def renamed(members: Members, new: str) -> None:
    old = first_placeholder(json.loads(members[GRAPH]))
    members[GRAPH] = members[GRAPH].replace(json.dumps(old).encode(), json.dumps(new).encode())


def signature(graph: Any) -> Any:
    return graph["graph_module"]["module_call_graph"][0]["signature"]


CODE = "__import__('pathlib').Path('{proof}').touch()"

GRAPHS: dict[str, Callable[[Members, str], None]] = {
    "placeholder": lambda m, code: renamed(m, f"x=({code}), y"),
    "argument": lambda m, code: edit(
        m, GRAPH, lambda g: signature(g)["forward_arg_names"].__setitem__(0, f"given, y={code}")
    ),
    "size": lambda m, code: edit(
        m,
        GRAPH,
        lambda g: next(iter(g["graph_module"]["graph"]["tensor_values"].values()))["sizes"].__setitem__(
            0, {"as_expr": {"expr_str": code, "hint": {"as_int": 4}}}
        ),
    ),
    "target": lambda m, code: edit(
        m, GRAPH, lambda g: g["graph_module"]["graph"]["nodes"][0].update(target="torch.os.system")
    ),
    "factory": lambda m, code: edit(
        m,
        GRAPH,
        lambda g: signature(g).update(
            in_spec=signature(g)["in_spec"].replace("builtins.dict", "collections.defaultdict")
        ),
    ),
    "key": lambda m, code: edit(
        m,
        GRAPH,
        lambda g: signature(g).update(in_spec=signature(g)["in_spec"].replace("rows", "it's + " + "x(1)")),
    ),
    "pickled weight": lambda m, code: edit(
        m, CONFIG, lambda c: next(iter(c["config"].values())).update(use_pickle=True)
    ),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_with_code_in_it_is_refused(kind, archive, tmp_path):
    proof = tmp_path / "proof"
    path = archive(lambda members: GRAPHS[kind](members, CODE.format(proof=proof)))
    with pytest.raises(CaptureError, match="may run code"):
        load_spec(str(path), CaptureOptions()).build(fake=False)
    assert not proof.exists()


def test_guards_are_not_executed(archive, tmp_path):
    proof = tmp_path / "proof"
    code = CODE.format(proof=proof)
    path = archive(lambda m: edit(m, GRAPH, lambda g: g.update(guards_code=[code])))
    load_spec(str(path), CaptureOptions()).build(fake=False)
    assert not proof.exists()


MEMBERS: dict[str, Callable[[Members, bytes], Members | None]] = {
    "samples in upper case": lambda m, bomb: {**m, "data/sample_inputs/model.PT": bomb},
    "samples of another model": lambda m, bomb: {**m, "data/sample_inputs/other.pt": bomb},
    "pickled samples": lambda m, bomb: {**m, SAMPLES: bomb},
    "graph in upper case": lambda m, bomb: {**m, "models/model.JSON": m[GRAPH]},
    "compiled code": lambda m, bomb: {**m, "data/aotinductor/model/model.so": b"\x7fELF"},
    "object": lambda m, bomb: {**m, "data/constants/custom_obj_0": bomb},
    "no format": lambda m, bomb: {k: v for k, v in m.items() if k != "archive_format"},
    "parent folder": lambda m, bomb: {**m, "../outside": b""},
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_only_members_that_hold_tensors_are_admitted(kind, archive, tmp_path):
    bomb = pickle.dumps(Bomb(tmp_path / "proof"))
    path = archive(lambda members: MEMBERS[kind](members, bomb))
    with pytest.raises(UnsafeArchiveError):
        write_checked_copy(path, tmp_path / "copy.pt2")
    assert not (tmp_path / "proof").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_refused(exported, archive, tmp_path):
    path = archive(lambda members: None)
    with zipfile.ZipFile(path, "a") as written:
        written.writestr(f"model/{SAMPLES}", pickle.dumps(Bomb(tmp_path / "proof")))
    with pytest.raises(UnsafeArchiveError, match="same name"):
        write_checked_copy(path, tmp_path / "copy.pt2")


def test_a_compressed_member_is_refused_before_it_is_read(archive, tmp_path):
    path = archive(lambda members: None)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as written:
        written.writestr("model/data/weights/weight_99", bytes(1_000_000))
    with pytest.raises(UnsafeArchiveError, match="compressed"):
        write_checked_copy(path, tmp_path / "copy.pt2")


def test_a_compressed_member_inside_the_samples_is_refused_before_it_is_read(archive, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as samples:
        samples.writestr("archive/data/0", bytes(1_000_000))
    path = archive(lambda members: members.update({SAMPLES: inner.getvalue()}))
    with pytest.raises(UnsafeArchiveError, match="archive/data/0 is compressed"):
        write_checked_copy(path, tmp_path / "copy.pt2")


def test_the_copy_is_under_a_name_of_its_own(exported, tmp_path):
    write_checked_copy(exported, tmp_path / "copy.pt2")
    with zipfile.ZipFile(tmp_path / "copy.pt2") as copy:
        assert {name.partition("/")[0] for name in copy.namelist()} == {"model"}
        assert json.loads(copy.read(f"model/{GRAPH}"))["guards_code"] == []
