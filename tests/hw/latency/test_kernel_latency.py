"""Latency of one kernel of a program: the order of rungs, and the host, on a GPU and on a CPU."""

from pathlib import Path

import numpy as np
import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import ExecutionContext, KernelWork
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.kernel_latency import Kernel, KernelLatency
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.profile_store import Measurement, ProfileStore
from steelyard.hw.latency.roofline import roofline_latency

EAGER, GRAPH = ExecutionContext(), ExecutionContext(mode="graph")
N = 2048
PRODUCT = KernelWork(
    kind="contraction", dtype="f32", contraction_flops=2 * N**3, bytes_read=8 * N**2, bytes_written=4 * N**2
)
SMALL = KernelWork(kind="pointwise", dtype="f32", pointwise_flops=64, bytes_read=256, bytes_written=256)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProfileStore:
    path = tmp_path / "profiles.sqlite"
    monkeypatch.setenv("STEELYARD_PROFILES", str(path))
    return ProfileStore(path)


def gemm(dtype: str = "f32") -> Kernel:
    sizes = {"b": 1, "m": N, "n": N, "k": N}
    dims = {name: np.array([size]) for name, size in sizes.items()}
    return Kernel(query=KernelBatch("gemm", dtype, dims))  # pyright: ignore[reportArgumentType]


def test_a_kernel_with_a_model_has_the_time_of_the_ladder(store: ProfileStore):
    device, kernel = load_device("t4"), gemm()
    assert kernel.query is not None
    expected = Ladder(device, ExecutionContext(mode="graph", host_overhead=False)).price(kernel.query).only
    assert KernelLatency(device, GRAPH).time(PRODUCT, (kernel,)) == expected
    twice = KernelLatency(device, GRAPH).time(PRODUCT, (kernel, kernel))
    assert twice.value_s == pytest.approx(2 * expected.value_s)


@pytest.mark.parametrize("kernels", [(), (gemm(),)])
def test_a_cpu_of_which_nothing_was_learned_has_the_roofline_of_the_whole_op(
    kernels: tuple[Kernel, ...], store: ProfileStore
):
    cpu = load_device("cpu")
    assert KernelLatency(cpu, EAGER).time(PRODUCT, kernels) == roofline_latency(cpu, PRODUCT, EAGER)


def test_a_type_that_the_device_has_no_unit_for_is_an_error(store: ProfileStore):
    with pytest.raises(DeviceError, match="gemm in i64"):
        KernelLatency(load_device("t4"), GRAPH).time(PRODUCT, (gemm("i64"),))


def test_the_host_of_a_gpu_is_not_part_of_its_kernels(store: ProfileStore):
    eager, graph = (KernelLatency(load_device("t4"), context).time(SMALL) for context in (EAGER, GRAPH))
    assert eager == graph
    assert eager.limiter == "launch"


@pytest.mark.parametrize("name", ["cpu", "t4"])
def test_what_was_measured_of_an_op_comes_before_every_model(name: str, store: ProfileStore):
    store.add(
        [
            Measurement(
                device=name, context="eager", threads=0 if name == "t4" else 2, op="aten.mm",
                signature="mm()", dtype="f32", kind="", dims="", median_s=5e-3, min_s=4e-3, low_s=4e-3,
                high_s=7e-3, repeats=19, measured_on="2026-11-24", torch_version="2.13.0",
            )
        ]
    )  # fmt: skip
    device = load_device(name)
    modelled = KernelLatency(device, EAGER).time(PRODUCT, (gemm(),))
    found = KernelLatency(device, EAGER).time(PRODUCT, (gemm(),), signature="mm()")
    assert (found.value_s, found.low_s, found.high_s, found.source) == (5e-3, 4e-3, 7e-3, "measured")
    assert found.limiter == modelled.limiter
    unasked = KernelLatency(device, EAGER, measured=False).time(PRODUCT, (gemm(),), signature="mm()")
    assert unasked == modelled
