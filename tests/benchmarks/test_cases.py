"""The faults of a row of cases, and every case of the folder where it is there (in a subprocess each)."""

from typing import Any

import cases
import pytest

RIGHT: dict[str, Any] = {
    "model": "m:make",
    "mode": "train",
    "flops": 100,
    "flops_torch": 100,
    "unknown": {},
    "assumptions": [],
    "memory_bytes": {"predicted": 1_000_000, "measured": 1_010_000},
    "different": [],
    "not_compared": None,
}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"flops": 99}, "FLOPs 99 for 100"),
        ({"memory_bytes": {"predicted": 1_000_000, "measured": 1_030_000}}, "memory 0.971"),
        ({"different": ["loss"]}, "1 results differ"),
        ({"not_compared": "no kernel"}, "not compared: no kernel"),
        ({"unknown": {"aten.new": 2}}, "unknown: aten.new (2)"),
        ({"refused": "no"}, "refused: no"),
        ({"died": "exit code -11"}, "died: exit code -11"),
    ],
)
def test_each_fault_is_named(changed: dict[str, Any], fault: str):
    assert cases.faults(RIGHT) == []
    assert cases.faults(RIGHT | changed) == [fault]


def test_expected_flops_come_before_those_of_the_counter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(cases.EXPECTED, "m:make", {"how": "by hand", "train": 120, "refused": ["inference"]})
    assert cases.faults(RIGHT) == ["FLOPs 100 for 120"]
    assert cases.faults({"model": "m:make", "mode": "inference", "refused": "no gradient"}) == []


def test_a_file_whose_process_dies_has_a_row(tmp_path: cases.Path):
    (tmp_path / "dies.py").write_text("import os\n\n\ndef make():\n    os._exit(7)\n")
    assert [*cases.weigh(tmp_path / "dies.py")] == [{"model": "dies", "mode": "", "died": "exit code 7"}]


@pytest.mark.slow
@pytest.mark.skipif(not cases.CASES.is_dir(), reason=f"no cases at {cases.CASES}")
@pytest.mark.parametrize("file", sorted(cases.CASES.glob("*.py")), ids=lambda file: file.stem)
def test_no_case_dies_and_all_have_the_right_flops(file: cases.Path):
    found = {
        f"{row['model']} {row['mode']}": fault
        for row in cases.weigh(file)
        for fault in cases.faults(row)
        if not fault.startswith("memory")
    }
    assert not found
