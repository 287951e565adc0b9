"""`learn`, `detect-fusion` and `characterize` from the command line."""

import json
import shlex
from pathlib import Path

import pytest

from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.registry import KINDS
from steelyard.runtime.cli import main
from steelyard.runtime.detect_fusion.pair_timing import PARTS
from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES

PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
    %0 = aten.tanh(%x) : tensor<8x8xf32>
    %1 = aten.relu(%0) : tensor<8x8xf32>
    %2 = aten._softmax(%1, dim = -1, half_to_float = false) : tensor<8x8xf32>
    func.return %2 : tensor<8x8xf32>
  }
}
"""
RULES = '[[pair]]\nfirst = "aten.tanh"\nsecond = "aten.relu"\nfused = {}\n'


@pytest.fixture
def steelyard(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEELYARD_PROFILES", "")
    (tmp_path / "program.mlir").write_text(PROGRAM)

    def run(arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(shlex.split(arguments))
        code = left.value.code or 0
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run


def softmax_s(benchmarks):
    """A machine that takes 1 us and 10 ns for a thousand elements, and two idle CPUs."""
    sizes = [tuple(int(size.partition("=")[2]) for size in each.name.split()[1:]) for each in benchmarks]
    return [1e-6 + 1e-11 * rows * cols for rows, cols in sizes]


def test_what_is_learned_is_what_predict_and_annotate_say(steelyard, tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.runtime.learn.this_machine.measure", softmax_s)
    code, out, err = steelyard("learn --kind softmax --budget 1000 -o mine.toml --format json")
    assert code == 0, err
    (found,) = json.loads(out)["learned"]
    assert found["kind"] == "softmax"
    assert found["held_out"]["within_5_percent"] == 1.0
    assert found["repeats"]["rmspe"] == 0.0
    assert "wrote mine.toml" in err
    device = load_device(tmp_path / "mine.toml")
    assert device.learned["softmax"]["f32"].held_out.within_5_percent == 1.0

    (tmp_path / "rows.csv").write_text("kind,dtype,rows,cols\nsoftmax,f32,2000,200\nsoftmax,bf16,2000,200\n")
    code, out, err = steelyard("predict --device mine.toml rows.csv --format json")
    learned, other = json.loads(out)
    assert learned["source"] == "fitted"
    assert learned["predicted_ms"] == pytest.approx(1e-3 + 1e-8 * 2000 * 200, rel=0.05)
    assert learned["low_ms"] <= learned["predicted_ms"] <= learned["high_ms"]
    assert other["source"] != "fitted"

    wide = PROGRAM.replace("8x8", "2000x200")
    (tmp_path / "wide.mlir").write_text(wide)
    code, out, err = steelyard("annotate wide.mlir --device mine.toml --format json")
    by_source_us = json.loads(out)["latency_by_source"]
    assert by_source_us.pop("fitted") == pytest.approx(5.0, rel=0.05)
    assert by_source_us  # the other ops are priced below


def test_a_second_kind_is_added_to_the_first(steelyard, tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.runtime.learn.this_machine.measure", softmax_s)
    steelyard("learn --kind softmax --budget 20 -o mine.toml")
    code, out, err = steelyard("learn --kind layer_norm --budget 20 --device mine.toml -o mine.toml")
    assert code == 0, err
    assert set(load_device(tmp_path / "mine.toml").learned) == {"softmax", "layer_norm"}
    assert out.splitlines()[0].split()[:3] == ["kind", "kernels", "held"]
    code, out, err = steelyard("learn --kind softmax --budget 20 -o mine.toml --format csv")
    assert out.splitlines()[0].startswith("kind,kernels,threads,held_out_kernels,held_out_within_5_percent,")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("learn --kind softmux -o mine.toml", "did you mean 'softmax'"),
        ("learn -o absent/mine.toml", "No such file or directory"),
        ("learn --device t4 -o mine.toml", "it is a gpu, and learning measures this machine's CPU"),
        ("learn --budget 2 -o mine.toml", "take a larger --budget"),
        ("learn --device nothing -o mine.toml", "no device named 'nothing'"),
        ("detect-fusion --op aten.relo", "did you mean 'aten.relu'"),
        ("detect-fusion -o absent/rules.toml", "No such file or directory"),
        ("characterize --kind gemm --sweep kernel --device t4", "cannot be swept by kernel"),
        ("characterize --at n --device t4", "'n' is not the size of a dim"),
        ("characterize --at n=0 --device t4", "'n=0' is not the size of a dim"),
        ("characterize --plot absent/a.png --device t4", "No such file or directory"),
        ("characterize --plot a.gif --device t4", "a plot cannot be written as .gif"),
        ("annotate program.mlir --fusion-rules absent.toml", "the file cannot be read"),
    ],
)
def test_bad_input_is_one_error(steelyard, arguments: str, says: str):
    code, out, err = steelyard(arguments)
    assert code == 2
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_fusion_is_tested_and_written_down(steelyard, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "steelyard.runtime.detect_fusion.executors.PairTimer.prepare", lambda self, pair: None
    )
    times_s = dict(zip(PARTS, (1e-5, 1e-5, 1.1e-5), strict=True))
    monkeypatch.setattr(
        "steelyard.runtime.detect_fusion.executors.PairTimer.__call__", lambda self, pair, part: times_s[part]
    )
    arguments = "detect-fusion --executor eager --op aten.relu --op aten.gelu -o rules.toml"
    code, out, err = steelyard(arguments)
    assert code == 0, err
    assert "4 of 4 pairs run as one kernel, 0 could not be told" in err
    assert out.splitlines()[1].split()[:4] == ["aten.relu", "aten.relu", "yes", "90%"]
    assert (tmp_path / "rules.toml").read_text().count("fused = true") == 4


@pytest.mark.parametrize(("fused", "kernels"), [("true", 2), ("false", 3)])
def test_annotate_fuses_but_not_what_was_seen_apart(steelyard, tmp_path, fused: str, kernels: int):
    (tmp_path / "rules.toml").write_text(RULES.format(fused))
    code, _, err = steelyard(
        "annotate program.mlir --device h100-sxm --fusion-rules rules.toml -o out.mlir --format json"
    )
    assert code == 0, err
    text = (tmp_path / "out.mlir").read_text()
    assert text.count('"kernel.fused"') == (fused == "true")
    assert text.count("cost.latency = ") == kernels


def test_a_sweep_is_predicted_and_plotted(steelyard, tmp_path):
    pytest.importorskip("matplotlib")
    code, out, err = steelyard(
        "characterize --kind gemm --at m=4096 --at k=4096 --largest 256 --device t4 --plot a.svg"
    )
    assert code == 0, err
    assert out.splitlines()[-1].startswith("gemm b=1 m=4096 k=4096 on t4: time grows in steps of")
    assert (tmp_path / "a.svg").stat().st_size > 1000
    code, out, err = steelyard("characterize --device t4 --largest 16 --format csv")
    assert out.splitlines()[0] == "o,time_us"
    assert len(out.splitlines()) == 17


def test_every_kind_that_is_learned_has_a_model_that_counts_its_work():
    assert {family.kind for family in KERNEL_FAMILIES.values()} <= set(KINDS)
