import csv
import json
import re
import subprocess
import sys
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
import torch

from steelyard.compiler.ir.text import read_program
from steelyard.runtime.cli import main

TINY = "hf:gpt2?n_layer=3&n_embd=32&n_head=2&vocab_size=100"
PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<4x8xf32> {program.role = "input", program.path = "x"},
                     %w: tensor<8x16xf32> {program.role = "parameter", program.path = "up.w"})
      -> tensor<4x16xf32> {
    %y = aten.mm(%x, %w) {phase = "forward", path = "up", source = "net.py:7"} : tensor<4x16xf32>
    %z = aten.relu(%y) {phase = "forward", path = "act", source = "net.py:8"} : tensor<4x16xf32>
    func.return %z : tensor<4x16xf32>
  }
}
"""
UNKNOWN = PROGRAM.replace("aten.relu(%y)", 'torch.op "mylib::mystery(Tensor x) -> Tensor"(%y)')


@pytest.fixture
def steelyard(capsys):
    """Run a command line in this process; its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        code = left.value.code or 0
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.mlir"
    path.write_text(PROGRAM)
    return path


def test_help_and_ir_need_no_torch(program):
    code = (
        "import sys\n"
        "from steelyard.runtime.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    for arguments in (["--help"], ["annotate", "--help"], ["annotate", str(program)], ["devices", "list"]):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_help_loads_neither_xdsl_nor_rich():
    code = "import sys, steelyard.runtime.cli; print(sorted({'torch', 'xdsl', 'rich'} & {*sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"


def test_the_verbs_are_these(steelyard):
    code, out, _ = steelyard("--help")
    verbs = out.split("Commands:")[1]
    assert code == 0
    assert {line.split()[0] for line in verbs.splitlines() if line.startswith("  ") and line[2] != " "} == {
        "annotate",
        "calibrate",
        "characterize",
        "check",
        "detect-fusion",
        "devices",
        "fits",
        "learn",
        "max-batch",
        "predict",
        "profile",
        "run",
        "transfer",
        "verify",
    }


def test_json_is_hand_arithmetic(steelyard, program):
    code, out, _ = steelyard("annotate", program, "--device", "h100-sxm", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["mode"] == "inference"
    assert found["device"] == "h100-sxm"
    assert found["params"] == 8 * 16
    assert found["flops"] == 2 * 4 * 8 * 16 + 4 * 16
    assert found["flops_by_phase"] == {"forward": found["flops"]}
    assert found["bytes_read"] == 4 * (4 * 8 + 8 * 16 + 4 * 16)
    assert found["bytes_written"] == 4 * (4 * 16 + 4 * 16)
    assert found["peak_memory_bytes"] == 4 * (4 * 8 + 8 * 16 + 4 * 16 + 4 * 16)
    assert sum(found["memory_by_role"].values()) == found["peak_memory_bytes"]
    assert found["memory_by_role"]["parameter"] == 4 * 8 * 16
    assert found["coverage"] == {"ops": 2, "costed": 2, "unknown": 0, "unknown_by_op": {}}
    assert found["latency_us"]["low"] <= found["latency_us"]["value"] <= found["latency_us"]["high"]
    assert sum(found["latency_by_limiter"].values()) == pytest.approx(found["latency_us"]["value"])
    assert found["latency_by_source"].keys() <= {"measured", "interpolated", "fitted", "analytic", "spec"}
    assert sum(found["latency_by_source"].values()) == pytest.approx(found["latency_us"]["value"])
    assert [row["name"] for row in found["rows"]] == ["(model)", "up", "act", "(host dispatch)"]


def test_csv_rows_add_up_to_the_model(steelyard, program):
    _, out, _ = steelyard("annotate", program, "--format", "csv", "--by", "op")
    model, *ops = csv.DictReader(StringIO(out))
    assert {row["name"] for row in ops} == {"aten.mm", "aten.relu"}
    for key in ("ops", "flops", "bytes"):
        assert sum(int(row[key]) for row in ops) == int(model[key])


def test_output_is_the_annotated_program(steelyard, program, tmp_path):
    code, out, err = steelyard("annotate", program, "-o", tmp_path / "a.mlir", "--format", "json")
    assert code == 0
    json.loads(out)  # stdout is the artifact alone
    assert "a.mlir" in err
    ops = list(next(iter(read_program(tmp_path / "a.mlir").body.ops)).body.block.ops)
    assert {"cost.work", "cost.latency", "cost.memory"} <= ops[0].attributes.keys()
    assert json.loads(steelyard("annotate", tmp_path / "a.mlir", "--format", "json")[1])["flops"] == 1088


def test_training_step_in_the_module_tree(steelyard):
    code, out, _ = steelyard("annotate", TINY, "--train", "--device", "h100-sxm")
    assert code == 0
    names = {re.split(r"\s{2,}", line.strip())[0] for line in out.splitlines()}
    assert {"transformer", "0-2 (3 alike)", "c_attn", "lm_head", "(loss)", "(optimizer)"} <= names
    assert "A training step takes" in out
    assert "optimizer_state" in out
    assert "fit into the 80.0 GiB" in " ".join(out.split())


def test_depth_cuts_the_tree(steelyard):
    _, out, _ = steelyard("annotate", TINY, "--depth", 1)
    assert "transformer" in out
    assert "c_attn" not in out


def test_options_reach_the_capture(steelyard):
    found = json.loads(
        steelyard("annotate", TINY, "--train", "--batch", 2, "--optimizer", "none", "--format", "json")[1]
    )
    one = json.loads(steelyard("annotate", TINY, "--train", "--format", "json")[1])
    assert one["flops_by_phase"]["optimizer"] > found["flops_by_phase"].get("optimizer", 0) == 0
    assert found["flops_by_phase"]["forward"] > 1.9 * one["flops_by_phase"]["forward"]


def test_dropout_is_kept_where_asked_for(steelyard):
    def ops(*options):
        return json.loads(steelyard("annotate", TINY, "--train", "--format", "json", *options)[1])[
            "coverage"
        ]["ops"]

    # The embeddings, and of each layer attention and two residual branches, forward and backward.
    assert ops("--dropout") > ops()


def test_unknown_op_is_warned_of_once_and_counted(steelyard, program):
    program.write_text(UNKNOWN)
    code, out, err = steelyard("annotate", program, "--format", "json")
    assert code == 0
    assert json.loads(out)["coverage"]["unknown"] == 1
    assert err.count("mylib.mystery") == 1
    assert "docs/howto/add-an-op.md" in err
    assert steelyard("annotate", program, "--strict")[0] == 2


def test_check_names_the_source_line(steelyard, program):
    assert steelyard("check", program)[:2] == (0, "every op is understood\n")
    program.write_text(UNKNOWN)
    code, out, _ = steelyard("check", program)
    assert code == 1
    assert "net.py:8" in out


def test_devices(steelyard, tmp_path):
    assert "h100-sxm" in steelyard("devices", "list")[1]
    shown = steelyard("devices", "show", "h100-sxm")[1]
    file = tmp_path / "mine.toml"
    file.write_text(shown)
    assert steelyard("devices", "validate", file)[0] == 0
    file.write_text(shown.replace("memory_kind", "memory_sort"))
    code, _, err = steelyard("devices", "validate", file)
    assert code == 2
    assert "memory_sort" in err


def test_verify_runs_with_the_threads_that_it_predicts_for(steelyard, monkeypatch):
    ran_with = set[int]()

    def time_s(*_: object) -> float:
        ran_with.add(torch.get_num_threads())
        return 1.0

    monkeypatch.setattr("steelyard.runtime.verify.verify.measure_steady_time_s", time_s)
    before = torch.get_num_threads()
    predicted = [
        json.loads(steelyard("verify", TINY, "--format", "json", "--threads", threads)[1])["step_time_ms"]
        for threads in (1, 2)
    ]
    assert ran_with == {1, 2}
    assert predicted[0]["predicted"] >= predicted[1]["predicted"]
    assert torch.get_num_threads() == before


def test_verify_prints_both_and_leaves_with_3_past_the_tolerance(steelyard):
    code, out, _ = steelyard("verify", TINY, "--format", "json", "--tolerance", 0)
    found = json.loads(out)
    assert code == 3  # no prediction of a time is exact
    assert found["numerics"]["equal"]
    assert found["step_time_ms"].keys() == {"predicted", "low", "high", "measured", "ratio"}
    assert found["peak_memory_bytes"].keys() >= {"predicted", "measured", "ratio"}
    assert found["flops"].keys() == {"ours", "torch"}
    assert steelyard("verify", TINY, "--tolerance", 1e9)[0] == 0


def test_annotate_computes_each_analysis_once_for_each_version_of_the_program(steelyard, program, tmp_path):
    """The program as it was read, and flat as it is written: two versions, and one device file."""
    device = tmp_path / "mine.toml"
    device.write_text(steelyard("devices", "show", "h100-sxm")[1])
    counts = Counter[str]()

    def count(frame, event, _):
        name = frame.f_code.co_name
        if event == "call" and name in ("find_storages", "liveness_of", "parse_device"):
            counts[name] += 1

    sys.setprofile(count)
    try:
        timeline = ("--memory-timeline", tmp_path / "t.csv")
        code = steelyard("annotate", program, "--device", device, "-o", tmp_path / "a.mlir", *timeline)[0]
    finally:
        sys.setprofile(None)
    assert code == 0
    assert counts["parse_device"] == 1
    assert counts["find_storages"] == counts["liveness_of"] == 2
