from dataclasses import replace

import pytest

from steelyard.hw.devices.nvidia_sm import fma_fraction, sm_limits
from steelyard.hw.devices.registry import load_device


def test_registers_shared_memory_threads_and_blocks_each_limit_what_an_sm_holds() -> None:
    limits = sm_limits(load_device("v100-pcie-32gb"))
    assert limits.resident_blocks(threads=256, registers_per_thread=128, shared_bytes=0) == 2
    assert limits.resident_blocks(threads=128, registers_per_thread=32, shared_bytes=32 * 1024) == 3
    assert limits.resident_blocks(threads=1024, registers_per_thread=16, shared_bytes=0) == 2
    assert limits.resident_blocks(threads=32, registers_per_thread=16, shared_bytes=0) == 32


def test_a_block_with_more_shared_memory_than_one_may_have_does_not_fit() -> None:
    limits = sm_limits(load_device("p100-pcie"))
    assert limits.resident_blocks(threads=128, registers_per_thread=32, shared_bytes=56 * 1024) == 0


def test_an_unlisted_compute_capability_has_the_limits_of_an_a100() -> None:
    a100 = load_device("a100-40gb-pcie")
    unknown = replace(a100, compute_capability="13.7")
    assert sm_limits(unknown) == sm_limits(a100)
    assert fma_fraction(unknown) == 1.0


@pytest.mark.parametrize(("name", "fraction"), [("h100-sxm", 0.795), ("l4", 0.68), ("a100-80gb-sxm", 1.0)])
def test_sms_of_128_lanes_reach_less_of_their_peak(name: str, fraction: float) -> None:
    assert fma_fraction(load_device(name)) == fraction
