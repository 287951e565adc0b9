"""The classic mistakes of device tables, looked for in every file that ships."""

import pytest

from steelyard.hw.base.units import GIB
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.nvidia_sm import half_macs_per_cycle
from steelyard.hw.devices.registry import device_names, load_device

DEVICES = [load_device(name) for name in device_names()]
MATRIX = [device for device in DEVICES if device.matrix_peak_flops_per_s]
CLOSE = 0.03

# Dense half-precision multiply-adds per clock and unit, with f32 accumulation, of architectures that are not
# NVIDIA's; those are hw/devices/nvidia_sm.py's.
FMA_PER_CLOCK = {
    "cdna": 512,
    "cdna2": 512,
    "cdna3": 1024,
    "xe2": 1024,
    "tpu-v4": 4 * 128 * 128,
}
# Cards that are sold with half the rate when they accumulate in f32.
HALF_RATE = {"rtx-2080-ti", "rtx-3090", "rtx-4090", "rtx-5090", "a10g"}
# Peaks over the half-precision peak that are no power of two, with the reason.
ODD_RATIOS = {("tpu-v4", "f32")}  # six passes of bf16

SUFFIXES = (
    "_units",
    "_per_unit",
    "_bits",
    "_hz",
    "_flops_per_s",
    "_bytes",
    "_bytes_per_s",
    "_w",
    "_per_h",
    "_s",
)


def by_name(device: Device) -> str:
    return device.name


def half_peak(device: Device) -> float:
    peaks = device.matrix_peak_flops_per_s
    return (peaks.get("f16") or peaks["bf16"]).value


@pytest.mark.parametrize("device", DEVICES, ids=by_name)
def test_every_number_has_unit_source_and_date(device: Device):
    numbers = list(device.quantities())
    assert len(numbers) >= 8
    for key, number in numbers:
        parts = [part for part in key.split(".") if not part.isdigit() and part != "sustained"]
        assert parts[0].endswith(SUFFIXES), key
        assert number.source.title, key
        assert 2024 <= number.source.date.year <= 2100, key
        assert number.source.url or number.kind in ("assumed", "derived") or device.vendor == "intel", key


@pytest.mark.parametrize("device", DEVICES, ids=by_name)
def test_vector_peak_is_units_by_lanes_by_clock(device: Device):
    assert device.lanes_per_unit is not None
    assert device.boost_clock_hz is not None
    flops_per_s = device.compute_units.value * device.lanes_per_unit.value * 2 * device.boost_clock_hz.value
    assert device.vector_peak_flops_per_s["f32"].value == pytest.approx(flops_per_s, rel=CLOSE)


@pytest.mark.parametrize("device", MATRIX, ids=by_name)
def test_matrix_peak_is_dense_and_accumulates_in_f32(device: Device):
    """A sparse peak is twice too high, and so is one with f16 accumulation on GeForce."""
    clock = device.matrix_clock_hz or device.boost_clock_hz
    assert clock is not None
    fma = half_macs_per_cycle(device) or FMA_PER_CLOCK[device.architecture]
    flops_per_s = device.compute_units.value * fma * 2 * clock.value / (2 if device.name in HALF_RATE else 1)
    assert half_peak(device) == pytest.approx(flops_per_s, rel=CLOSE)


@pytest.mark.parametrize("device", MATRIX, ids=by_name)
def test_matrix_peaks_stand_in_ratios_of_powers_of_two(device: Device):
    for dtype, peak in device.matrix_peak_flops_per_s.items():
        if dtype == "f64" or (device.name, dtype) in ODD_RATIOS:
            continue
        ratio = peak.value / half_peak(device)
        assert min(abs(ratio / power - 1) for power in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4)) < CLOSE, dtype


@pytest.mark.parametrize("device", MATRIX, ids=by_name)
def test_ridge_point_is_plausible(device: Device):
    assert device.memory_bandwidth_bytes_per_s is not None
    for dtype, peak in device.matrix_peak_flops_per_s.items():
        if dtype != "f64":
            assert 20 <= peak.value / device.memory_bandwidth_bytes_per_s.value <= 1500, dtype


@pytest.mark.parametrize("device", DEVICES, ids=by_name)
def test_rates_are_decimal_and_capacities_binary(device: Device):
    """A TB/s taken for a TiB/s leaves a number with many digits, and a GB for a GiB a broken capacity."""
    bandwidth = device.memory_bandwidth_bytes_per_s
    assert bandwidth is not None
    assert float(f"{bandwidth.value:.5g}") == bandwidth.value
    assert device.memory_capacity_bytes.value % GIB == 0


@pytest.mark.parametrize("device", DEVICES, ids=by_name)
def test_bandwidth_fits_the_kind_of_memory(device: Device):
    low, high = {"hbm": (500e9, 9e12), "gddr": (100e9, 2e12), "lpddr": (10e9, 300e9), "ddr": (10e9, 600e9)}[
        device.memory_kind
    ]
    assert device.memory_bandwidth_bytes_per_s is not None
    assert low <= device.memory_bandwidth_bytes_per_s.value <= high


@pytest.mark.parametrize("device", DEVICES, ids=by_name)
def test_nothing_sustained_exceeds_its_peak(device: Device):
    peaks = {**device.vector_peak_flops_per_s, **device.matrix_peak_flops_per_s}
    for entry in device.sustained:
        for dtype, rate in entry.flops_per_s.get("contraction", {}).items():
            assert rate.at(1e15) < peaks[dtype].value
        if entry.memory_bandwidth_bytes_per_s and device.memory_bandwidth_bytes_per_s:
            assert entry.memory_bandwidth_bytes_per_s.at(1e9) < device.memory_bandwidth_bytes_per_s.value


def test_no_two_devices_are_copies():
    rows = [tuple((key, number.value) for key, number in device.quantities()) for device in DEVICES]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    ("name", "units", "capacity_gib", "rate_bytes_per_s"),
    [("k80", 13, 12, 240e9), ("m60", 16, 8, 160e9), ("mi250", 104, 64, 1638.4e9)],
)
def test_a_card_with_two_dies_is_one_die(name: str, units: int, capacity_gib: int, rate_bytes_per_s: float):
    device = load_device(name)
    assert device.dies_per_card == 2
    assert "one of the two dies" in device.title
    assert device.compute_units.value == units
    assert device.memory_capacity_bytes.value == capacity_gib * GIB
    assert device.memory_bandwidth_bytes_per_s is not None
    assert device.memory_bandwidth_bytes_per_s.value == rate_bytes_per_s


def test_only_cards_with_two_dies_say_so():
    assert [device.name for device in DEVICES if device.dies_per_card > 1] == ["k80", "m60", "mi250"]


@pytest.mark.parametrize(
    ("name", "units", "lanes", "bandwidth_bytes_per_s"),
    [
        ("l4", 58, 128, 300e9),  # elsewhere: 60 units, or the bandwidth of an H100
        ("p4", 20, 128, 192e9),  # elsewhere: 40 units of 64 lanes
        ("a10g", 80, 128, 600e9),  # elsewhere: the 933 GB/s of an A30
        ("h100-sxm", 132, 128, 3.35e12),  # elsewhere: 3.35 TiB/s
        ("a100-80gb-sxm", 108, 64, 2.039e12),
    ],
)
def test_values_that_others_have_wrong(name: str, units: int, lanes: int, bandwidth_bytes_per_s: float):
    device = load_device(name)
    assert device.lanes_per_unit is not None
    assert device.memory_bandwidth_bytes_per_s is not None
    assert (device.compute_units.value, device.lanes_per_unit.value) == (units, lanes)
    assert device.memory_bandwidth_bytes_per_s.value == bandwidth_bytes_per_s


def test_tf32_of_h100_is_not_that_of_a100():
    assert load_device("h100-sxm").matrix_peak_flops_per_s["tf32"].value == 494.7e12
    assert load_device("a100-80gb-sxm").matrix_peak_flops_per_s["tf32"].value == 156e12


@pytest.mark.parametrize("name", ["k80", "m60", "p4", "p100-pcie", "jetson-tx2", "cpu"])
def test_devices_without_matrix_units_have_no_matrix_peak(name: str):
    assert load_device(name).matrix_peak_flops_per_s == {}


@pytest.mark.parametrize("name", ["v100-pcie-32gb", "v100-sxm2-16gb", "t4", "rtx-2080-ti"])
def test_bf16_and_tf32_came_with_ampere(name: str):
    assert {"bf16", "tf32"}.isdisjoint(load_device(name).matrix_peak_flops_per_s)
