"""Files of fusion rules: what holds none is one error."""

import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.detect_fusion.rules_file import read_rules

PAIR = '[[pair]]\nfirst = "aten.mm"\nsecond = "aten.relu"\n'


def test_a_pair_without_a_verdict_is_neither_fused_nor_apart(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(PAIR + PAIR.replace("relu", "gelu") + "fused = true\n")
    rules = read_rules(path)
    assert rules.fused == {("aten.mm", "aten.gelu")}
    assert not rules.apart


@pytest.mark.parametrize(
    "text",
    ["", "[[pair]]", "pair = 3", 'pair = ["a"]', "{", "a = " + "[" * 5000, PAIR + "x = " + "{a = " * 5000],
)
def test_a_file_without_rules_is_an_error(tmp_path, text):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="holds no fusion rules"):
        read_rules(path)
