"""Fits in device files: written, read back exactly, and rejected where invalid."""

from dataclasses import replace
from datetime import date

import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.devices.fitted_models import Fit, Residual
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.schema import parse_device
from steelyard.hw.devices.write import dump_device

FIT = Fit(
    source=Source(title="My bench", date=date(2026, 5, 4)),
    rows=120,
    mean_error=0.0512,
    mean_error_before=1 / 7,
    coefficients={"launch_s": 2.3456e-6, "memory_fraction": 0.87},
    spread=ErrorBand(up_to_s=(1e-5,), low=(0.8, 0.9), high=(1.4, 1.2)),
    residual=Residual(
        offset=-0.01,
        octaves=(1.0, 0.5),
        noise=0.1,
        points=(("add", 64.0, 8192.0, -0.0312), ("mul", 1.0, 4097.0, 0.5)),
    ),
    residual_spread=ErrorBand(low=(0.9,), high=(1.1,)),
)
DEVICE = replace(
    load_device("t4"),
    fitted={
        "elementwise": {
            "f32": {"eager": FIT, "graph": replace(FIT, residual=None, residual_spread=None)},
            "bf16": {"eager": replace(FIT, source=Source(title="Theirs", date=date(2026, 1, 2)))},
        }
    },
)


def test_fits_read_back_exactly():
    assert parse_device(dump_device(DEVICE), "x") == DEVICE


def test_fits_are_tables_for_people():
    text = dump_device(DEVICE)
    assert '[fitted.elementwise.f32.eager]\nsource = "my-bench"\nrows = 120\nmean_error = 0.0512\n' in text
    assert "\n[fitted.elementwise.f32.eager.coefficients]\nlaunch_s = 2.3456e-06\n" in text
    assert '\npoints = [\n    ["add", 64, 8192, -0.0312],\n    ["mul", 1, 4097, 0.5],\n]\n' in text
    assert '[sources.theirs]\ntitle = "Theirs"\ndate = 2026-01-02\n' in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[fitted.elementwise.", "[fitted.elementwize.", "did you mean 'elementwise'"),
        ("launch_s = 2.3456e-06", "launch_s = -1", "launch_s is -1"),
        ("noise = 0.1", "noise = 0", "must be positive"),
        ("mean_error = 0.0512", "mean_eror = 0.0512", "did you mean 'mean_error'"),
        ('source = "my-bench"', 'source = "my-banch"', "no source is named 'my-banch'"),
        ("low = [0.8, 0.9]", "low = [0.8]", "one entry more"),
        (
            "[fitted.elementwise.f32.eager.residual_spread]\nup_to_s = []\nlow = [0.9]\nhigh = [1.1]\n",
            "",
            "come together",
        ),
        ('["add", 64, 8192, -0.0312]', '["add", 64, -0.0312]', "same number of entries"),
        (
            '["add", 64, 8192, -0.0312]',
            "[7, 64, 8192, -0.0312]",
            "elementwise in f32: a point is fn, rows, cols",
        ),
        (
            '["add", 64, 8192, -0.0312]',
            '["add", 0, 8192, -0.0312]',
            "elementwise in f32: a point is fn, rows, cols",
        ),
        ("octaves = [1, 0.5]", "octaves = [1]", "elementwise in f32: octaves are for rows cols, cols"),
    ],
)
def test_a_fit_that_makes_no_sense_is_a_fault_of_the_file(old: str, new: str, says: str):
    text = dump_device(DEVICE)
    wrong = text.replace(old, new)
    assert wrong != text
    with pytest.raises(DeviceError) as caught:
        parse_device(wrong, "x")
    assert says in str(caught.value)
