"""Device files with one error of units each: refused, with the unit that was meant."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.registry import device_names
from steelyard.hw.devices.schema import parse_device

ERRORS = [
    (
        "h100-sxm",
        "boost_clock_hz = { value = 1.98e9",
        "boost_clock_hz = { value = 1.98",
        "GHz: write 1.98e+09",
    ),
    (
        "h100-sxm",
        "boost_clock_hz = { value = 1.98e9",
        "boost_clock_hz = { value = 1980",
        "MHz: write 1.98e+09",
    ),
    (
        "h100-sxm",
        "base_clock_hz = { value = 1.59e9",
        "base_clock_hz = { value = 1.59e6",
        "kHz: write 1.59e+09",
    ),
    (
        "h100-sxm",
        "base_clock_hz = { value = 1.59e9",
        "base_clock_hz = { value = 2.59e9",
        "above the boost clock",
    ),
    (
        "h100-sxm",
        "matrix_clock_hz = { value = 1.83e9",
        "matrix_clock_hz = { value = 1.83",
        "GHz: write 1.83e+09",
    ),
    ("h100-sxm", "boost_clock_hz = { value = 1.98e9", "boost_clock_hz = { value = 1e-320", "outside of"),
    ("h100-sxm", "boost_clock_hz = { value = 1.98e9", "boost_clock_hz = { value = 1e300", "outside of"),
    ("h100-sxm", 'value = "80 GiB"', "value = 80", "GiB: write 8.58993e+10"),
    ("h100-sxm", 'value = "80 GiB"', "value = 81920", "MiB: write 8.58993e+10"),
    (
        "cpu",
        'memory_capacity_bytes = { value = "32 GiB"',
        "memory_capacity_bytes = { value = 32",
        "looks like GiB",
    ),
    ("h100-sxm", 'value = "50 MiB"', "value = 50", "MiB: write 5.24288e+07"),
    ("h100-sxm", 'value = "50 MiB"', 'value = "50 GiB"', "a thousand times too large"),
    ("h100-sxm", "value = 3.35e12", "value = 3350", "GB/s: write 3.35e+12"),
    ("h100-sxm", "value = 3.35e12", "value = 3.35", "TB/s: write 3.35e+12"),
    ("h100-sxm", "value = 3.35e12", "value = 3.35e9", "a thousand times too small: write 3.35e+12"),
    ("h100-sxm", "value = 3.35e12", "value = 3.35e15", "a thousand times too large: write 3.35e+12"),
    ("t4", "value = 320e9", "value = 320", "GB/s: write 3.2e+11"),
    ("cpu", "value = 89.6e9", "value = 89.6", "GB/s: write 8.96e+10"),
    ("cpu", "value = 89.6e9", "value = 89.6e12", "a thousand times too large: write 8.96e+10"),
    ("h100-sxm", "tdp_w = { value = 700", "tdp_w = { value = 0.7", "kW: write 700"),
    ("h100-sxm", "value = 450e9", "value = 450", "GB/s: write 4.5e+11"),
    ("h100-sxm", "value = 450e9", "value = 450e6", "a thousand times too small"),
    ("h100-sxm", "value = 63e9", "value = 63", "GB/s: write 6.3e+10"),
    ("h100-sxm", "value = 6.88", "value = 688", "cents: write 6.88"),
    ("h100-sxm", "compute_units = { value = 132", "compute_units = { value = 0.5", "not a whole number"),
    ("h100-sxm", "lanes_per_unit = { value = 128", "lanes_per_unit = { value = 12.8", "not a whole number"),
    (
        "h100-sxm",
        "bf16 = { value = 989.4e12",
        "bf16 = { value = 1978.9e12",
        "with sparsity: write 9.8945e+14",
    ),
    ("a100-80gb-sxm", "bf16 = { value = 312e12", "bf16 = { value = 624e12", "with sparsity: write 3.12e+14"),
    ("h100-sxm", "bf16 = { value = 989.4e12", "bf16 = { value = 989.4", "TFLOP/s: write 9.894e+14"),
    ("h100-sxm", "bf16 = { value = 989.4e12", "bf16 = { value = 989.4e9", "a thousand times too small"),
    ("h100-sxm", "f32 = { value = 66.9e12", "f32 = { value = 66.9", "TFLOP/s: write 6.69e+13"),
    ("cpu", "f32 = { value = 1.024e12", "f32 = { value = 1024", "GFLOP/s: write 1.024e+12"),
    ("h100-sxm", "bf16 = { value = 794.5e12", "bf16 = { value = 794.5", "TFLOP/s: write 7.945e+14"),
]


def text_of(name: str) -> str:
    return files("steelyard.hw.devices").joinpath(f"{name}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "right", "wrong", "says"), ERRORS)
def test_an_error_of_units_is_refused_with_the_likely_unit(name, right, wrong, says):
    text = text_of(name)
    assert right in text
    with pytest.raises(DeviceError) as caught:
        parse_device(text.replace(right, wrong, 1), "made.toml")
    assert says in str(caught.value.why)


@pytest.mark.parametrize("name", device_names())
def test_every_shipped_file_is_plausible(name):
    assert parse_device(text_of(name), name).name == name


@given(st.sampled_from(["memory_bandwidth_bytes_per_s", "boost_clock_hz", "tdp_w"]), st.floats(1e4, 1e12))
def test_a_figure_far_off_is_never_admitted(key, factor):
    device = text_of("h100-sxm").splitlines()
    lines = [
        line.replace("value = ", f"value = {factor:.0f}") if line.startswith(key) else line for line in device
    ]
    with pytest.raises(DeviceError):
        parse_device("\n".join(lines), "made.toml")


def test_deep_nesting_is_an_error():
    with pytest.raises(DeviceError, match="not valid TOML"):
        parse_device("a = " + "[" * 5000, "made.toml")
