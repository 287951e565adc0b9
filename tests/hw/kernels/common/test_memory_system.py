from dataclasses import replace

import numpy as np
import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.dispatch import CALL_S, call_coefficients
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.common.memory_system import MemorySystem, memory_coefficients, overlapped_s
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise
from steelyard.hw.kernels.memory_bound.streaming import streaming_estimate

A100 = load_device("a100-40gb-pcie")
GRAPH = ExecutionContext(mode="graph")


def test_small_footprints_stay_in_the_cache_and_large_ones_do_not():
    memory = MemorySystem.of(A100, {**memory_coefficients(A100), "resident_fraction": 0.5})
    half_bytes = 0.5 * 40 * 2**20
    missed = memory.missed(half_bytes * np.array([0.1, 0.75, 1.0, 1.25, 10]))
    assert missed.tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_traffic_takes_the_slower_of_memory_and_cache():
    memory = MemorySystem(1e12, 2e12, 1e6, 4e12, 0.5)
    found = memory.seconds(np.array([8e9, 1e9]), np.array([8e9, 8e9]))
    assert found.tolist() == pytest.approx([8e-3, 2e-3])


def test_a_measured_bandwidth_comes_before_that_of_the_family():
    assert memory_coefficients(load_device("t4"))["memory_fraction"] == pytest.approx(239 / 320)


def test_the_newer_memory_of_a_family_is_told_apart():
    assert memory_coefficients(load_device("l4"))["memory_fraction"] == 0.8
    a40, a100 = (memory_coefficients(load_device(name)) for name in ("a40", "a100-80gb-sxm"))
    assert a40["memory_fraction"] < a100["memory_fraction"]


def test_a_device_without_a_bandwidth_is_refused():
    bare = replace(A100, memory_bandwidth_bytes_per_s=None)
    with pytest.raises(DeviceError, match="a memory-bound kernel on a100-40gb-pcie cannot be priced"):
        MemorySystem.of(bare, memory_coefficients(bare))


def test_activities_overlap_up_to_the_longer_one():
    both = overlapped_s(np.array([3.0, 0.0]), np.array([4.0, 0.0]), 2.0)
    assert both.tolist() == pytest.approx([5, 0])


def test_the_call_is_that_of_the_device_or_the_usual_one():
    assert call_coefficients(load_device("p100-pcie"))["call_s"] == 44.4e-6
    assert call_coefficients(load_device("h100-sxm"))["call_s"] == CALL_S


def test_an_addition_by_its_work_alone_takes_as_long_as_by_its_name():
    dims = {"fn": np.array(["add"]), "rows": np.array([10_000]), "cols": np.array([1_000])}
    model = Elementwise()
    by_name = model.estimate(Launches(A100, "f32", GRAPH, dims, model.coefficients(A100, "f32")))
    by_work = streaming_estimate(A100, GRAPH, model.counts("f32", dims))
    assert by_work.seconds == pytest.approx(by_name.seconds)
    assert by_work.floor_s == pytest.approx(by_name.floor_s)
