import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.detect_fusion.executors import PairTimer
from steelyard.runtime.detect_fusion.pair_timing import PARTS, Pair
from steelyard.runtime.detect_fusion.test_ops import OP_KINDS, all_pairs, shared_input


def test_every_pair_that_shares_an_input_is_tested_once() -> None:
    pairs = all_pairs()
    assert len(pairs) == len(set(pairs)) == 82  # 7 and 7 kinds, of which 4 read both
    assert Pair("aten.convolution", "aten.relu") in pairs
    assert not any({"aten.convolution", "aten.addmm"} == {pair.first, pair.second} for pair in pairs)


def test_ops_have_the_names_of_the_ir() -> None:
    assert all(kind.op.name().replace("::", ".") == name for name, kind in OP_KINDS.items())


def test_some_ops_can_be_named() -> None:
    assert all_pairs(["aten.relu", "aten.addmm"]) == [
        Pair("aten.addmm", "aten.addmm"),
        Pair("aten.addmm", "aten.relu"),
        Pair("aten.relu", "aten.addmm"),
        Pair("aten.relu", "aten.relu"),
    ]
    with pytest.raises(UsageError, match=r"did you mean 'aten\.relu'"):
        all_pairs(["aten.relo"])


def test_every_pair_runs_eagerly() -> None:
    timer = PairTimer("eager")
    for pair in all_pairs():
        assert shared_input(pair)
        timer.prepare(pair)
    assert {
        part: timer(Pair("aten.cat", "aten.native_layer_norm"), part) > 0 for part in PARTS
    } == dict.fromkeys(PARTS, True)


@pytest.mark.slow
def test_a_pair_runs_compiled() -> None:
    timer = PairTimer("inductor")
    timer.prepare(Pair("aten.native_layer_norm", "aten.cat"))
    assert timer(Pair("aten.native_layer_norm", "aten.cat"), "both") > 0
