from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.power import sustained_clock_hz, sustained_fraction

NAMES = (
    "p4",
    "t4",
    "v100-pcie-32gb",
    "a100-40gb-pcie",
    "l4",
    "l40s",
    "h100-pcie",
    "h100-sxm",
    "rtx-pro-6000",
)
devices = st.sampled_from([load_device(name) for name in NAMES])
LINEAR = {
    "power_fraction": 0.8,
    "voltage_floor_fraction": 1.0,  # the voltage stays, so that power is proportional to the clock
    "node": {"8.9": "some"},
    "vector": {"some": {"f32": 10.0}},
}


def limited_to(device: Device, watts: float) -> Device:
    assert device.tdp_w is not None
    return replace(device, tdp_w=replace(device.tdp_w, value=watts))


def test_the_clock_is_where_the_power_meets_the_limit() -> None:
    # 30.3 TFLOP/s x 0.68 x 10 pJ = 206.04 W at the boost clock, for which there are 72 W x 0.8.
    fraction = sustained_fraction(load_device("l4"), "f32", "vector", table=LINEAR)
    assert fraction == pytest.approx(57.6 / 206.04, rel=1e-6)


def test_a_lower_voltage_at_a_lower_clock_gives_some_of_it_back() -> None:
    falling = {**LINEAR, "voltage_floor_fraction": 0.5}
    fraction = sustained_fraction(load_device("l4"), "f32", "vector", table=falling)
    assert fraction * (0.5 + 0.5 * fraction) ** 2 == pytest.approx(57.6 / 206.04, rel=1e-6)


@pytest.mark.parametrize("name", ["h100-sxm", "a100-80gb-sxm", "p100-pcie"])
def test_a_board_with_power_to_spare_holds_its_boost_clock(name: str) -> None:
    device = load_device(name)
    assert device.boost_clock_hz is not None
    assert sustained_clock_hz(device, "f32", "vector") == device.boost_clock_hz.value


@pytest.mark.parametrize("name", ["t4", "l4"])
def test_a_board_of_70_watts_holds_about_half_of_its_boost_clock(name: str) -> None:
    assert 0.4 < sustained_fraction(load_device(name), "f32", "vector") < 0.65


def test_without_a_power_limit_or_an_energy_the_boost_clock_is_held() -> None:
    l4 = load_device("l4")
    assert sustained_fraction(replace(l4, tdp_w=None), "f32", "vector") == 1.0
    assert sustained_fraction(replace(l4, compute_capability=None), "f32", "vector") == 1.0
    assert sustained_fraction(l4, "i8", "matrix") == 1.0
    assert sustained_fraction(l4, "f32", "matrix") == 1.0


@given(devices, st.floats(20, 1000), st.floats(1, 3))
def test_more_power_is_never_slower(device: Device, watts: float, more: float) -> None:
    less_hz = sustained_clock_hz(limited_to(device, watts), "f32", "vector")
    assert less_hz <= sustained_clock_hz(limited_to(device, watts * more), "f32", "vector")


@given(devices, st.floats(1, 3))
def test_a_higher_peak_never_lowers_the_sustained_rate(device: Device, more: float) -> None:
    peak = device.vector_peak_flops_per_s["f32"]
    higher = replace(device, vector_peak_flops_per_s={"f32": replace(peak, value=peak.value * more)})
    rate = sustained_fraction(device, "f32", "vector")
    assert sustained_fraction(higher, "f32", "vector") * more >= rate * (1 - 1e-9)
