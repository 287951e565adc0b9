import pickle

import pytest

from steelyard.hw.base.errors import (
    CaptureError,
    DeviceError,
    ExecutionError,
    IRError,
    SteelyardError,
    UsageError,
    did_you_mean,
)


def test_text_has_every_part_in_order():
    error = DeviceError(what="no device named 'h100'", where="--device", why="31 known", fix="see the list")
    assert str(error) == "no device named 'h100'\n  at: --device\n  why: 31 known\n  fix: see the list"


def test_absent_parts_leave_no_line():
    assert str(SteelyardError(what="it broke", fix="mend it")) == "it broke\n  fix: mend it"


def test_a_part_of_several_lines_stays_under_its_label():
    assert str(SteelyardError(what="two faults", why="one\ntwo")) == "two faults\n  why: one\n    two"


def test_parts_are_keyword_only():
    with pytest.raises(TypeError):
        SteelyardError("text")  # type: ignore[misc]


def test_families_have_distinct_stable_codes():
    families = [SteelyardError, UsageError, DeviceError, CaptureError, IRError, ExecutionError]
    assert [family.code for family in families] == ["SY001", "US001", "HW001", "FE001", "IR001", "RT001"]
    assert all(issubclass(family, SteelyardError) for family in families)


def test_an_error_survives_a_process_border():
    error = ExecutionError(what="rank 1 failed", where="rank 1", why="0 < 1", fix="look at its log")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is ExecutionError
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("h100_sxm", "did you mean 'h100-sxm'?"),
        ("h1", "did you mean 'h100-pcie' or 'h100-sxm'?"),
        ("zzz", "choose one of: h100-pcie, h100-sxm, t4"),
    ],
)
def test_did_you_mean(name: str, advice: str):
    assert did_you_mean(name, ["t4", "h100-sxm", "h100-pcie"]) == advice


def test_did_you_mean_without_choices_is_empty():
    assert did_you_mean("x", []) == ""
