import csv
import json
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest

from steelyard.hw.devices.registry import load_device
from steelyard.runtime.cli import main

TABLE = """kind,dtype,m,n,k,rows,cols,device,context,latency_ms,note
gemm,bf16,4096,4096,4096,,,,graph,0.25,"a, b"
softmax,fp32,,,,4096,512,t4,,0.1,
gemm,bf16,64,64,64,,,,graph,0.004,
"""
ADDED = ["predicted_ms", "low_ms", "high_ms", "source", "limiter"]


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
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(TABLE)
    return path


def test_csv_keeps_the_rows_and_adds_columns(steelyard, table):
    code, out, _ = steelyard("predict", table, "--device", "h100-sxm", "--format", "csv")
    header, *records = csv.reader(StringIO(out))
    given_header, *given = csv.reader(StringIO(TABLE))
    assert code == 0
    assert header == given_header + ADDED
    assert [record[: len(given_header)] for record in records] == given
    for record in records:
        value, low, high = map(float, record[-5:-2])
        assert 0 < low <= value <= high
    assert [record[-2] for record in records] == ["fitted"] * 3  # both devices ship with fits
    # At least the floor, 2 x 4096^3 over the peak, and within the range of what such a kernel takes.
    assert 2 * 4096**3 / 989.4e12 * 1e3 <= float(records[0][-5]) < 0.3


def test_json_has_numbers_and_leaves_out_what_is_empty(steelyard, table):
    _, out, _ = steelyard("predict", table, "--device", "h100-sxm", "--format", "json")
    gemm, softmax, _ = json.loads(out)
    assert (gemm["m"], gemm["latency_ms"], gemm["note"]) == (4096, 0.25, "a, b")
    assert "m" not in softmax
    assert softmax["low_ms"] <= softmax["predicted_ms"] <= softmax["high_ms"]


def test_the_table_has_a_line_a_row(steelyard, table):
    _, out, _ = steelyard("predict", table, "--device", "h100-sxm")
    assert len(out.splitlines()) == 4
    assert out.splitlines()[0].split()[-5:] == ADDED


def test_stdin_is_a_file_too(steelyard, table, monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(table.read_bytes())))
    code, out, _ = steelyard("predict", "-", "--device", "h100-sxm", "--format", "csv")
    assert code == 0
    assert out == steelyard("predict", table, "--device", "h100-sxm", "--format", "csv")[1]


def test_output_is_written_and_may_be_predicted_again(steelyard, table, tmp_path):
    code, out, err = steelyard("predict", table, "--device", "h100-sxm", "-o", tmp_path / "out.csv")
    assert (code, out) == (0, "")
    assert "wrote" in err
    again = steelyard("predict", tmp_path / "out.csv", "--device", "h100-sxm", "--format", "csv")[1]
    assert again == (tmp_path / "out.csv").read_text()
    steelyard("predict", table, "--device", "h100-sxm", "-o", tmp_path / "out.json")
    assert len(json.loads((tmp_path / "out.json").read_text())) == 3


def test_the_score_is_of_each_kind_and_device(steelyard, table):
    arguments = ("predict", table, "--device", "h100-sxm", "--score", "latency_ms")
    code, out, _ = steelyard(*arguments, "--format", "json")
    gemm, softmax = json.loads(out)["scores"]
    assert code == 0
    assert (gemm["kind"], gemm["device"], gemm["rows"]) == ("gemm", "h100-sxm", 2)
    assert (softmax["kind"], softmax["device"], softmax["rows"]) == ("softmax", "t4", 1)
    assert 0 <= gemm["mape"] < gemm["roofline_mape"]
    assert gemm["kendall_tau"] == 1.0
    assert softmax["kendall_tau"] is None
    rows = list(csv.DictReader(StringIO(steelyard(*arguments, "--format", "csv")[1])))
    assert [float(row["mape"]) for row in rows] == [gemm["mape"], softmax["mape"]]
    lines = steelyard(*arguments)[1].splitlines()
    assert len(lines) == 3
    assert f"{gemm['mape']:.1%}" in lines[1]


BAD = {
    "kind,dtype,m,n,k\ngemm,bf16,1,2,x\n": ("row 1 (line 2), column 'k'", "no integer"),
    "kind,dtype,m,n,k,device\ngemm,bf16,1,2,3,h100\n": ("row 1 (line 2)", "h100-pcie, h100-sxm"),
    "kind,dtype,m,n,k\ngemm,f32,1,2,3\ngem,f32,1,2,3\n": ("row 2 (line 3), column 'kind'", "mean 'gemm'"),
    "kind,dtype,m,n\ngemm,f32,1,2\n": ("column 'k'", "gemm needs the dim 'k'", "no such column"),
    "kind,dtype,m,n,k\ngemm,f32,1,2,3\ngemm,f32,1,,3\n": ("row 2 (line 3), column 'n'", "the cell is empty"),
    "kind,dtype,m,n,k\ngemm,f32,1,-2,3\n": ("row 1 (line 2), column 'n'", "n is -2", "between 1 and"),
    "kind,dtype,m,n,k\ngemm,f32,0,2,3\n": ("row 1 (line 2), column 'm'", "m is 0", "between 1 and"),
    "kind,dtype,m,n,k\ngemm,f32,nan,2,3\n": ("row 1 (line 2), column 'm'", "no integer"),
    "kind,dtype,rows,cols\nsoftmax,tf32,8,8\n": ("row 1 (line 2), column 'dtype'", "no softmax in tf32"),
    "knd,dtype,m,n,k\ngemm,f32,1,2,3\n": ("line 1", "rename 'knd' to 'kind'"),
    "kind;dtype;m\ngemm;f32;1\n": ("line 1", "with commas between them"),
    "kind,dtype,m,n,k\ngemm,f32,1,2\n": ("row 1 (line 2)", "4 cells", "5 columns"),
    "kind,dtype,m,n,k,device\ngemm,f32,1,2,3,t4\ngemm,f8,1,2,3,t4\n": (
        "row 2 (line 3), column 'dtype'",
        "no unit for gemm in f8",
    ),
    "": ("rows.csv", "empty"),
}


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_bad_rows_are_one_message_and_exit_code_2(steelyard, tmp_path, text, says):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    code, out, err = steelyard("predict", path, "--device", "h100-sxm", "-o", tmp_path / "out.csv")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert all(each in err for each in says)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("cell", "says"), [("nan", "latency_ms is nan"), ("-1", "latency_ms is -1"), ("", "is empty")]
)
def test_a_measured_time_that_is_none_is_an_error_of_its_cell(steelyard, tmp_path, cell, says):
    path = tmp_path / "rows.csv"
    path.write_text(f"kind,dtype,rows,cols,latency_ms\nsoftmax,f32,8,8,1\nsoftmax,f32,8,8,{cell}\n")
    code, _, err = steelyard("predict", path, "--device", "t4", "--score", "latency_ms")
    assert code == 2
    assert says in err
    assert "row 2 (line 3), column 'latency_ms'" in err


def test_files_that_cannot_be_read_are_errors(steelyard, tmp_path, table):
    (tmp_path / "latin.csv").write_bytes(b"kind,dtype\ngemm,\xff\n")
    for arguments, says in (
        ([tmp_path / "none.csv"], "cannot be read"),
        ([tmp_path], "cannot be read"),
        ([tmp_path / "latin.csv"], "not UTF-8"),
        ([table, "--score", "latencyms"], "did you mean 'latency_ms'"),
        ([table, "-o", tmp_path / "none" / "out.csv"], "cannot be written"),
    ):
        code, _, err = steelyard("predict", "--device", "h100-sxm", *arguments)
        assert code == 2
        assert says in err


def test_calibrating_from_rows_makes_a_device_that_prices_them_better(steelyard, tmp_path):
    device, path = load_device("t4"), tmp_path / "mine.csv"
    assert device.memory_bandwidth_bytes_per_s
    lines = ["kind,dtype,rows,cols,device,latency_ms"]
    for octave in range(4, 13):
        for cols in (64, 500, 4096):
            moved = 8 * 2**octave * cols
            time_ms = 0.05 + 1e3 * moved / (0.4 * device.memory_bandwidth_bytes_per_s.value)
            lines.append(f"softmax,fp32,{2**octave},{cols},t4,{time_ms}")
    lines += ["layer_norm,fp32,64,64,t4,1", "softmax,fp32,64,64,p4,1"]
    path.write_text("\n".join(lines) + "\n")
    made = tmp_path / "slow-t4.toml"
    code, out, err = steelyard("calibrate", "--from", path, "--device", "t4", "-o", made)
    assert (code, out) == (0, "")
    assert "softmax f32 eager: 27 rows" in err
    assert "layer_norm f32 eager: 1 rows are too few" in err
    assert load_device(made).name == "slow-t4"
    assert load_device(made).fitted["softmax"]["f32"]["eager"].source.title == "mine.csv, 28 rows"
    path.write_text("\n".join(line.replace(",t4,", ",,") for line in lines[:-2]) + "\n")

    def figures(name: object) -> dict[str, float]:
        asked = ("predict", path, "--device", name, "--score", "latency_ms", "--format", "json")
        return json.loads(steelyard(*asked)[1])["scores"][0]

    after = figures(made)
    assert after["mape"] < 0.1
    assert after["mape"] < 0.5 * figures("t4")["mape"]
    assert after["coverage"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--device t4", "need --from"),
        ("--from rows.csv -o x.toml", "needs --device and -o"),
        ("--from rows.csv --device t4 -o x.toml", "no row is of the device"),
        ("--from rows.csv --device h100-sxm -o x.toml", "too few rows"),
        ("--from rows.csv --device cpu -o x.toml", "no row is of the device"),
        ("--from few.csv --device cpu -o x.toml", "not cpu"),
        ("--from f8.csv --device t4 -o x.toml", "f8.csv, row 1 (line 2), column 'dtype'"),
        ("--from kind.csv --device t4 -o x.toml", "kind.csv, row 1 (line 2), column 'kind'"),
        ("--from zero.csv --device t4 -o x.toml", "zero.csv, row 1 (line 2), column 'm'"),
        ("--from nan.csv --device t4 -o x.toml", "nan.csv, row 1 (line 2), column 'latency_ms'"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_an_error(steelyard, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    few = "kind,dtype,m,n,k,latency_ms\n" + "gemm,bf16,64,64,64,1\n" * 3
    Path("few.csv").write_text(few)
    for name, old, new in (
        ("f8", "bf16", "f8"),
        ("kind", "gemm,", "gem,"),
        ("zero", ",64,", ",0,"),
        ("nan", ",1\n", ",nan\n"),
    ):
        Path(f"{name}.csv").write_text(few.replace(old, new))
    Path("rows.csv").write_text(few.replace("_ms\n", "_ms,device\n").replace(",1\n", ",1,h100-sxm\n"))
    code, _, err = steelyard("calibrate", *arguments.split())
    assert code == 2
    assert says in err
    assert not Path("x.toml").exists()
