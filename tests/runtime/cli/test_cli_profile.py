"""`steelyard profile` and `steelyard transfer` from the command line."""

import json
import shlex
from pathlib import Path

import pytest

from steelyard.runtime.cli import main

PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %0 = aten.mm(%x, %w) : tensor<64x64xf32>
    %1 = aten.relu(%0) : tensor<64x64xf32>
    func.return %1 : tensor<64x64xf32>
  }
}
"""
OP = {
    "op": "aten.mm",
    "signature": "aten.mm(f32[64x64], f32[64x64])",
    "dtype": "f32",
    "kind": "gemm",
    "dims": "b=1 m=64 n=64 k=64",
    "count": 3,
    "measured_ms": 2.0,
    "work": {
        "kind": "contraction",
        "contraction_flops": 524288,
        "pointwise_flops": 0,
        "transcendental_flops": 0,
        "bytes_read": 32768,
        "bytes_written": 16384,
    },
}
TRACE = {"model": "tiny", "device": "t4", "ops": [OP]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEELYARD_PROFILES", str(tmp_path / "profiles.sqlite"))
    (tmp_path / "program.mlir").write_text(PROGRAM)
    (tmp_path / "trace.json").write_text(json.dumps(TRACE))
    return tmp_path


@pytest.fixture
def steelyard(folder, capsys):
    def run(arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(shlex.split(arguments))
        code = left.value.code or 0
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run


def test_a_profile_is_what_annotate_and_predict_then_say(steelyard, folder):
    code, out, err = steelyard("profile program.mlir --repeats 3 --format json")
    found = json.loads(out)
    assert code == 0
    assert [each["count"] for each in found["ops"]] == [1, 1]
    assert "profiles.sqlite" in err
    annotated = json.loads(steelyard("annotate program.mlir --format json")[1])
    assert annotated["latency_by_source"].keys() == {"measured"}
    assert annotated["latency_us"]["value"] / 1e3 == pytest.approx(found["total"]["measured_ms"], rel=1e-4)
    (folder / "rows.csv").write_text("kind,dtype,b,m,n,k\ngemm,f32,1,64,64,64\n")
    (predicted,) = json.loads(steelyard("predict rows.csv --device cpu --format json")[1])
    assert predicted["source"] == "measured"
    assert predicted["predicted_ms"] == pytest.approx(found["ops"][0]["measured_ms"], rel=1e-4)
    assert "0 ops measured now" in steelyard("profile program.mlir --repeats 3")[1]


def test_an_empty_variable_uses_no_profile_and_cannot_be_profiled_into(steelyard, monkeypatch):
    steelyard("profile program.mlir --repeats 1")
    monkeypatch.setenv("STEELYARD_PROFILES", "")
    annotated = json.loads(steelyard("annotate program.mlir --format json")[1])
    assert "measured" not in annotated["latency_by_source"]
    code, _, err = steelyard("profile program.mlir")
    assert code == 2
    assert "STEELYARD_PROFILES" in err


def test_a_trace_on_another_device(steelyard):
    code, out, _ = steelyard("transfer trace.json --from t4 --to v100-pcie-32gb --format json")
    found = json.loads(out)
    assert code == 0
    assert found["total"]["measured_ms"] == pytest.approx(6.0)
    assert found["ops"][0]["method"] == "models"
    assert found["total"]["scaled_ms"] == pytest.approx(3 * found["ops"][0]["scaled_ms"])
    assert 0 < found["total"]["predicted_ms"] < 1
    table = steelyard("transfer trace.json --from t4 --to v100-pcie-32gb")[1]
    assert "aten.mm(f32[64x64], f32[64x64])" in table
    assert "scaled to v100-pcie-32gb" in table


def test_what_profile_writes_transfer_reads(steelyard, folder):
    trace = steelyard("profile program.mlir --repeats 3 --format json")[1]
    (folder / "here.json").write_text(trace)
    found = json.loads(steelyard("transfer here.json --from cpu --to cpu --format json")[1])
    assert found["total"]["scaled_ms"] == pytest.approx(found["total"]["measured_ms"])


def changed(**fields: object) -> str:
    return json.dumps({**TRACE, "ops": [{**OP, **fields}]})


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        ("{", "--from t4 --to l4", "cannot be read"),
        ("[1]", "--from t4 --to l4", "no JSON object"),
        ('{"model": "x"}', "--from t4 --to l4", "lacks the list ops"),
        (json.dumps({**TRACE, "ops": []}), "--from t4 --to l4", "has no measured op"),
        (changed(measured_ms=None), "--from t4 --to l4", "has no measured op"),
        (changed(measured_ms=-1), "--from t4 --to l4", "measured_ms is -1"),
        (changed(measured_ms=2e-9), "--from t4 --to l4", "is too short for 5.24e+05 FLOPs"),
        (changed(measured_ms=3.2e-7), "--from t4 --to l4", "if this one is in s, write 0.00032"),
        (changed(measured_ms="2"), "--from t4 --to l4", "measured_ms is '2'"),
        (changed(count=0), "--from t4 --to l4", "count is 0"),
        (changed(kind=[["gemm"]]), "--from t4 --to l4", "there is no kind [['gemm']]"),
        (changed(kind="gem"), "--from t4 --to l4", "did you mean 'gemm'"),
        (changed(dims="b=1 m=64 n=64"), "--from t4 --to l4", "gemm needs the dim 'k'"),
        (changed(dims="b=1 m=64 n=64 k=-1"), "--from t4 --to l4", "k is -1"),
        (changed(dtype="f33"), "--from t4 --to l4", "did you mean 'f32'"),
        (changed(work={**OP["work"], "kind": "magic"}), "--from t4 --to l4", "'magic'"),
        (changed(work={**OP["work"], "bytes_read": -4}), "--from t4 --to l4", "bytes_read is -4"),
        (changed(work=7), "--from t4 --to l4", "its work is 7"),
        (json.dumps(TRACE), "--from p4 --to l4", "measured on 't4', --from is 'p4'"),
        (json.dumps(TRACE), "--from t4 --to l44", "did you mean"),
        (json.dumps(TRACE), "--from t44 --to l4", "did you mean"),
    ],
)
def test_a_bad_trace_is_one_message_and_exit_code_2(text, arguments, says, steelyard, folder):
    (folder / "trace.json").write_text(text)
    code, out, err = steelyard(f"transfer trace.json {arguments}")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err


def test_a_missing_trace_and_a_foreign_profile_are_one_message(steelyard, folder):
    assert steelyard("transfer missing.json --from t4 --to l4")[0] == 2
    (folder / "profiles.sqlite").write_bytes(b"something else entirely")
    for arguments in ("profile program.mlir", "annotate program.mlir"):
        code, out, err = steelyard(arguments)
        assert (code, out) == (2, "")
        assert "profiles.sqlite" in err


def test_a_device_of_another_machine_cannot_be_profiled(steelyard, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = steelyard("profile program.mlir --device h100-sxm")
    assert code == 2
    assert "no CUDA device" in err
