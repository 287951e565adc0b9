"""The test for fusion on executors whose times are known, by hand arithmetic."""

import json
from itertools import count, cycle
from pathlib import Path

import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.detect_fusion.format import format_verdicts
from steelyard.runtime.detect_fusion.pair_timing import LEAST_ROUNDS, MOST_ROUNDS, Pair, Part, decide_pairs
from steelyard.runtime.detect_fusion.rules_file import format_rules, read_rules

MACHINE = {"executor": "inductor", "device": 'A "fast" CPU', "threads": 2, "date": "2026-11-25"}
FUSED, APART, OPEN = (
    Pair("aten.relu", "aten.gelu"),
    Pair("aten.mm", "aten.relu"),
    Pair("aten.cat", "aten.relu"),
)


def times(first: float, second: float, both: float):
    return lambda pair, part: {"first": first, "second": second, "both": both}[part]


@pytest.mark.parametrize(
    ("first", "second", "both", "share", "fused"),
    [
        (10.0, 40.0, 40.0, 1.0, True),  # the shorter one is free
        (10.0, 40.0, 44.0, 0.6, True),
        (10.0, 40.0, 45.0, 0.5, False),  # must be more than half
        (10.0, 40.0, 50.0, 0.0, False),
        (10.0, 40.0, 60.0, -1.0, False),
        (40.0, 10.0, 44.0, 0.6, True),
    ],
)
def test_the_formula(first: float, second: float, both: float, share: float, fused: bool) -> None:
    (verdict,) = decide_pairs([FUSED], times(first, second, both))
    assert verdict.saved_share == pytest.approx(share)
    assert verdict.fused is fused
    assert verdict.agreement == 1
    assert verdict.rounds == MOST_ROUNDS
    assert set(verdict.spreads.values()) == {1}


def test_one_disturbed_round_in_five_changes_nothing() -> None:
    both = cycle([40.0, 40.0, 40.0, 90.0, 40.0])
    (verdict,) = decide_pairs([FUSED], lambda _, part: next(both) if part == "both" else 30.0)
    assert verdict.times_s == {"first": 30, "second": 30, "both": 40}
    assert verdict.agreement == pytest.approx(0.8)
    assert verdict.fused is True


def test_where_the_rounds_disagree_nothing_is_said() -> None:
    both = cycle([40.0, 90.0, 40.0])
    (verdict,) = decide_pairs([FUSED], lambda _, part: next(both) if part == "both" else 30.0)
    assert verdict.agreement < 0.8
    assert verdict.fused is None
    assert verdict.spreads["both"] == pytest.approx(90 / 40)


def test_a_round_goes_through_all_pairs_and_stops_when_there_is_no_more_time() -> None:
    asked: list[tuple[Pair, Part]] = []
    told: list[tuple[int, int]] = []

    def measure(pair: Pair, part: Part) -> float:
        asked.append((pair, part))
        return 1.0

    found = decide_pairs(
        [FUSED, APART],
        measure,
        enough=lambda: True,
        progress=lambda done, total, _: told.append((done, total)),
    )
    one_round = [(pair, part) for pair in (FUSED, APART) for part in ("first", "second", "both")]
    assert asked == one_round * LEAST_ROUNDS
    assert [each.pair for each in found] == [FUSED, APART]
    assert told[-1] == (MOST_ROUNDS, MOST_ROUNDS)


@pytest.fixture
def verdicts():
    numbers = count()
    table = {
        FUSED: times(10e-6, 40e-6, 42e-6),
        APART: times(100e-6, 10e-6, 111e-6),
        OPEN: lambda pair, part: 30e-6 if part != "both" else (40e-6, 60e-6)[next(numbers) % 2],
    }
    return decide_pairs(list(table), lambda pair, part: table[pair](pair, part))


def test_the_rules_are_read_back_as_they_were_found(verdicts, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(format_rules(verdicts, MACHINE))
    rules = read_rules(path)
    assert rules.fused == {("aten.relu", "aten.gelu")}
    assert rules.apart == {("aten.mm", "aten.relu")}
    text = path.read_text()
    assert 'executor = "inductor"\ndevice = "A \\"fast\\" CPU"\nthreads = 2\ndate = "2026-11-25"\n' in text
    assert 'first = "aten.relu"\nsecond = "aten.gelu"\nfused = true\nsaved_share = 0.8\n' in text
    assert "first_us = 10.0\nfirst_spread = 1.0\nsecond_us = 40.0\n" in text
    open_ = text.partition('first = "aten.cat"')[2]
    assert open_
    assert "fused" not in open_


def test_tables(verdicts) -> None:
    lines = format_verdicts(verdicts, MACHINE, "table").splitlines()
    assert " ".join(lines[1].split()) == "aten.relu aten.gelu yes 80% 100% 10.0 40.0 42.0 1.00 1.00 1.00"
    assert [line.split()[2] for line in lines[1:]] == ["yes", "no", "?"]
    found = json.loads(format_verdicts(verdicts, MACHINE, "json"))
    assert found["measured"] == MACHINE
    assert [each.get("fused") for each in found["pairs"]] == [True, False, None]
    csv = format_verdicts(verdicts, MACHINE, "csv").splitlines()
    assert csv[0].startswith("fused,first,second,saved_share,")
    assert [line.split(",")[0] for line in csv[1:]] == ["True", "False", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pair = 3", "holds no fusion rules"),
        ("[measured]\n", "it has no 'pair'"),
        ('[[pair]]\nfirst = "a"\n', "it has no 'second'"),
        ("= ", "holds no fusion rules"),
    ],
)
def test_other_files_are_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"rules\.toml") as raised:
        read_rules(path)
    assert says in str(raised.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_rules(tmp_path / "absent.toml")
