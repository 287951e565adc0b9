"""The accuracy page is what its generator makes of the committed results, and each says how to repeat it."""

import sys
from pathlib import Path

import accuracy_page as page
import pytest
import report

ROOT = Path(__file__).parents[2]


def test_the_page_is_generated_from_the_results():
    committed = page.PAGE.read_text(encoding="utf-8")
    assert committed == page.render(page.load()), "run `make accuracy`"


def test_each_result_names_a_command_that_is_there():
    for name, result in page.load().items():
        command = result.command.rpartition("&& ")[2].split()
        if command[0] == "python":
            assert (ROOT / command[1]).is_file(), name
        else:
            assert command[0] == "steelyard", name


def test_a_result_without_a_place_is_refused():
    with pytest.raises(ValueError, match="another"):
        page.render({"another": next(iter(page.load().values()))})


def test_a_report_prints_a_table_and_keeps_it_with_save(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/made.py", "gpt2", "--save"])
    made = report.Report("made", "Made", "A and b.", {"model": "", "error": ".1%", "equal": ""})
    made.add("gpt2", 0.0123, True)
    made.add("bert", None, False)
    made.finish("1.2% mean", "2%")
    table = ["| model | error | equal |", "|---|--:|---|", "| gpt2 | 1.2% | yes |", "| bert |  | no |"]
    assert capsys.readouterr().out.splitlines() == [*table, "", "1.2% mean (target: 2%)"]
    kept = report.Result.load(tmp_path / "made.json")
    assert [*kept.table()] == table
    assert kept.rows[0] == ["gpt2", 0.0123, True]
    assert kept.command == "python benchmarks/made.py gpt2"


def test_a_report_keeps_nothing_unasked(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/made.py"])
    report.Report("made", "Made", "", {"model": ""}).finish("none")
    assert not [*tmp_path.iterdir()]
