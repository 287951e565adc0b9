import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.links.host_link import host_copy_s


def test_twelve_of_the_rate_of_pcie_3_and_a_start():
    assert host_copy_s(load_device("t4"), 0) == pytest.approx(5.7e-6)
    assert host_copy_s(load_device("t4"), 12 * 10**9) == pytest.approx(1.0, rel=0.003)
    assert host_copy_s(load_device("h100-sxm"), 10**9) < host_copy_s(load_device("a100-80gb-sxm"), 10**9)


def test_a_cpu_has_no_host():
    with pytest.raises(DeviceError, match="its memory is the host's"):
        host_copy_s(load_device("cpu"), 1)
