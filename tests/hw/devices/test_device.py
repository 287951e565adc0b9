from dataclasses import replace
from datetime import date

import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.quantity import Quantity, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates

ONE = Quantity(value=1, kind="spec", source=Source(title="a test", date=date(2026, 1, 1)))


def cpu(*threads: int | None) -> Device:
    return Device(
        name="toy",
        title="A toy",
        vendor="acme",
        kind="cpu",
        architecture="one",
        memory_kind="ddr",
        compute_units=ONE,
        memory_capacity_bytes=ONE,
        sustained=tuple(MeasuredRates(threads=count, dispatch_overhead_s=ONE) for count in threads),
    )


def test_the_entry_for_the_threads_is_found():
    assert cpu(1, 2, 4).sustained_with(2).threads == 2


def test_without_threads_the_largest_entry_counts():
    assert cpu(1, 4, 2).sustained_with(None).threads == 4


def test_an_entry_without_threads_holds_for_all():
    assert cpu(None).sustained_with(3).dispatch_overhead_s == ONE


def test_a_device_that_was_never_calibrated_sustains_nothing_known():
    assert cpu().sustained_with(3) == MeasuredRates(threads=3)


def test_threads_that_were_not_calibrated_are_refused():
    with pytest.raises(DeviceError, match="not calibrated with 3 threads") as caught:
        cpu(1, 2).sustained_with(3)
    assert caught.value.why == "it was with 1, 2"
    with pytest.raises(DeviceError, match="not calibrated with 1 threads"):
        cpu(2, 4).sustained_with(1)


def test_threads_between_calibrated_ones_follow_the_law_of_contention():
    found = cpu(1, 8, 4).sustained_with(2)
    assert (found.threads, found.dispatch_overhead_s) == (2, replace(ONE, kind="derived"))


def test_quantities_have_dotted_keys():
    assert [key for key, _ in cpu(1).quantities()] == [
        "compute_units",
        "memory_capacity_bytes",
        "sustained.0.dispatch_overhead_s",
    ]


def test_equal_devices_hash_alike():
    assert cpu(1) == cpu(1)
    assert hash(cpu(1)) == hash(cpu(1))
    assert cpu(1) != cpu(2)
