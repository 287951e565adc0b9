import json
import shlex

import pytest

from steelyard.hw.allocators.choice import context_overhead
from steelyard.hw.registry import load_device
from steelyard.runtime.cli import main
from steelyard.runtime.fits import check_fit
from steelyard.runtime.max_batch import largest_batch
from steelyard.runtime.pipeline import load_costed

SPEC = "hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=1000"
GIB = 2**30


def capture(batch: int):
    return load_costed(SPEC, {"train": True, "batch": batch, "sequence": 64})


def leave(arguments: str) -> int:
    try:
        main(shlex.split(arguments))
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_terms_add_up():
    fit = check_fit(capture(4), load_device("t4"), GIB)
    assert fit.fits
    assert fit.first_step_bytes <= fit.peak_allocated_bytes <= fit.peak_reserved_bytes
    value, low, high = fit.margin_bytes
    context = context_overhead(load_device("t4"))
    assert value == 16 * GIB - GIB - context.value - fit.peak_reserved_bytes
    assert low <= value <= high


def test_the_largest_batch_is_the_largest():
    device = load_device("t4")
    reserve = round(device.memory_capacity_bytes.value) - GIB
    found = largest_batch(capture, device, reserve)
    assert found.batch > 1
    assert check_fit(capture(found.batch), device, reserve).fits
    assert not check_fit(capture(found.batch + 1), device, reserve).fits


def test_yes_and_no(capsys):
    assert leave(f"fits '{SPEC}' --device t4 --format json") == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    command = f"fits '{SPEC}' --device t4 --train --batch 512 --sequence 64 --reserve 15.2GiB --format json"
    assert leave(command) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["fits"] is False
    assert report["margin_bytes"][0] < 0
    assert "does not fit" in report["why"]
    ways = {way["change"]: way for way in report["ways_to_fit"]}
    assert any(change.startswith("--batch") and way["fits"] for change, way in ways.items())
    assert "--optimizer sgd" in ways


def test_max_batch_prints_the_number_first(capsys):
    assert leave(f"max-batch '{SPEC}' --device t4 --train --sequence 64 --reserve 15GiB") == 0
    assert int(capsys.readouterr().out.splitlines()[0]) > 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--reserve 20GiB", "nothing is left"),
        ("--reserve much", "is not a size"),
        ("--allocator expandable:True", "did you mean 'expandable_segments'"),
        ("--device t44", "t4"),
    ],
)
def test_bad_input(options, says, capsys):
    assert leave(f"fits '{SPEC}' --device t4 {options}") == 2
    assert says in capsys.readouterr().err
