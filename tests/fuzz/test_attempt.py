"""The fuzzer finds what it looks for: each kind of fault, planted."""

import json
import sys
import time

import attempt
import pytest
from attempt import Case
from hypothesis import Phase, given, settings
from inputs import Main, numbers_are_possible, reads_back, targets

EMPTY = Case({}, ("x",))


def leaving(code: object, out: str = "", err: str = "") -> Main:
    def main(arguments: list[str]) -> None:
        sys.stdout.write(out)
        sys.stderr.write(err)
        raise SystemExit(code)

    return main


def crashing(arguments: list[str]) -> None:
    raise KeyError("surprise")


def hanging(arguments: list[str]) -> None:
    start = time.process_time()
    while time.process_time() < start + 30:
        pass


PLANTED = {
    "a traceback": (crashing, "KeyError at"),
    "exit 70": (leaving(70, err="error: internal"), "exit 70"),
    "no message": (leaving(2), "no message"),
    "a negative number": (leaving(0, json.dumps({"a": [1, {"b": -1}]})), "a.1.b is -1"),
    "an inverted interval": (
        leaving(0, json.dumps({"low": 3, "value": 2, "high": 4})),
        "low <= value <= high",
    ),
    "no number": (leaving(0, json.dumps({"a": float("nan")})), "a is nan"),
}


@pytest.mark.parametrize(("main", "says"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(main, says):
    _, fault = attempt.attempt(main, EMPTY, numbers_are_possible)
    assert fault
    assert says in fault


def test_a_planted_hang_is_found(monkeypatch):
    monkeypatch.setattr(attempt, "LIMIT_S", 0.2)
    assert "more than 0.2 s" in (attempt.attempt(hanging, EMPTY, numbers_are_possible)[1] or "")


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read in /proc")
def test_growth_is_found(monkeypatch):
    monkeypatch.setattr(attempt, "GROWTH_BYTES", 10**7)
    _, fault = attempt.attempt(lambda arguments: len(bytearray(b"a") * 10**8), EMPTY, numbers_are_possible)
    assert fault
    assert "GB" in fault


def test_a_refusal_and_a_good_answer_are_no_faults():
    refused = attempt.attempt(leaving(2, err="error: no"), EMPTY, numbers_are_possible)
    accepted = attempt.attempt(leaving(0, json.dumps({"margin": -1, "a": 0})), EMPTY, numbers_are_possible)
    assert (refused, accepted) == ((False, None), (True, None))


def test_a_program_that_does_not_read_back_is_found():
    assert "not read back" in (reads_back("builtin.module {") or "")
    assert reads_back("builtin.module {\n}\n") is None


def test_every_way_in_takes_and_refuses_input(tmp_path, monkeypatch):
    """Of the fast ones; the others capture models or fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEELYARD_PROFILES", "p.sqlite")
    slow = ("archives", "specs", "calibrations")
    for name, target in targets().items():
        if name not in slow:
            assert _faults(target) == [], name


def _faults(target) -> list[str]:
    faults: list[str] = []

    @settings(max_examples=5, database=None, phases=[Phase.generate], derandomize=True)
    @given(target.cases)
    def once(case: Case) -> None:
        faults.extend(filter(None, [attempt.attempt(target.main, case, target.check)[1]]))

    once()
    return faults
