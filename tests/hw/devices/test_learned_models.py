"""Regressors in device files: written, read back exactly, and rejected where invalid."""

from dataclasses import replace
from datetime import date

import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.devices.learned_models import Accuracy, Learned, Regressor, feature_names
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.schema import parse_device
from steelyard.hw.devices.write import dump_device

TREE = (0, 9.5, -1, -0.25, 1, 3.0, -1, 0.125, -1, 0.5)
LEARNED = Learned(
    source=Source(title="My bench", date=date(2026, 5, 4)),
    threads=2,
    rows=80,
    held_out=Accuracy(kernels=20, within_5_percent=0.55, within_10_percent=0.8, rmspe=0.0712),
    repeats=Accuracy(kernels=20, within_5_percent=0.95, within_10_percent=1.0, rmspe=0.0213),
    smallest=(32, 16),
    largest=(4096, 1024),
    regressor=Regressor(
        features=feature_names("softmax"),
        law_s=(2.5e-06, 0.0, 1.25e-11, 3e-11, 0.0),
        offset=0.0625,
        trees=(TREE, (-1, -0.03125)),
    ),
    spread=ErrorBand(low=(0.9,), high=(1.2,)),
)
DEVICE = replace(load_device("cpu"), learned={"softmax": {"f32": LEARNED}})


def test_regressors_read_back_exactly():
    assert parse_device(dump_device(DEVICE), "x") == DEVICE


def test_a_tree_is_a_line_for_people():
    text = dump_device(DEVICE)
    assert '[learned.softmax.f32]\nsource = "my-bench"\nthreads = 2\nrows = 80\n' in text
    assert "\ntrees = [\n    [0, 9.5, -1, -0.25, 1, 3, -1, 0.125, -1, 0.5],\n    [-1, -0.03125],\n]\n" in text
    assert "\n[learned.softmax.f32.held_out]\nkernels = 20\nwithin_5_percent = 0.55\n" in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[learned.softmax.", "[learned.softmux.", "did you mean 'softmax'"),
        ("rows = 80", "rowz = 80", "did you mean 'rows'"),
        ("[-1, -0.03125]", "[-1]", "tree 1 is no tree"),
        ("[-1, -0.03125]", "[-1, -0.03125, -1, 0.5]", "tree 1 is no tree"),
        ("[-1, -0.03125]", "[0, 9.5, -1, 0.5]", "tree 1 is no tree"),
        ("[-1, -0.03125]", "[99, 9.5, -1, 0.5, -1, 0.5]", "tree 1 is no tree"),
        ("[-1, -0.03125]", "[0.5, 9.5, -1, 0.5, -1, 0.5]", "tree 1 is no tree"),
        ("[-1, -0.03125]", "[-1, inf]", "tree 1 is no tree"),
        ("law_s = [2.5e-06, 0,", "law_s = [2.5e-06,", "for each of calls, flops"),
        ("law_s = [2.5e-06, 0,", "law_s = [2.5e-06, -1,", "for each of calls, flops"),
        ('"flops / byte"', '"bytes / flop"', "learn it anew"),
        ("smallest = [32, 16]", "smallest = [32]", "smallest and largest are for rows, cols"),
    ],
)
def test_nonsense_is_refused(old: str, new: str, says: str):
    text = dump_device(DEVICE)
    assert old in text
    with pytest.raises(DeviceError, match="fault") as raised:
        parse_device(text.replace(old, new), "x")
    assert says in str(raised.value)
