from pathlib import Path

import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.profile_store import Measurement, ProfileStore

EAGER = ExecutionContext()
SIZES = (64, 128, 256, 512)
UTILISATION = 0.25


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> ProfileStore:
    path = tmp_path / "profiles.sqlite"
    monkeypatch.setenv("STEELYARD_PROFILES", str(path))
    return ProfileStore(path)


def ask(*rows: tuple[int, int, int, int]) -> KernelBatch:
    columns = {dim: np.array(column) for dim, column in zip("bmnk", zip(*rows, strict=True), strict=True)}
    return KernelBatch("gemm", "f32", columns)


def modelled_s(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return Ladder(load_device("cpu"), EAGER, measured=False).price(ask(*rows)).value_s


def measurement(m: int, n: int, k: int, seconds: float, **changes: object) -> Measurement:
    fields = {
        "device": "cpu",
        "context": "eager",
        "threads": 2,
        "op": "aten.mm",
        "signature": f"aten.mm(f32[{m}x{k}], f32[{k}x{n}])",
        "dtype": "f32",
        "kind": "gemm",
        "dims": f"b=1 m={m} n={n} k={k}",
        "median_s": seconds,
        "min_s": 0.8 * seconds,
        "low_s": 0.9 * seconds,
        "high_s": 1.3 * seconds,
        "repeats": 19,
        "measured_on": "2026-11-24",
        "torch_version": "2.13.0",
    }
    return Measurement(**{**fields, **changes})


def fill(store: ProfileStore, **changes: object) -> None:
    """A grid of products that all reach a quarter of what the rung below says."""
    rows = [(1, m, n, k) for m in SIZES for n in SIZES for k in SIZES]
    times = modelled_s(*rows) / UTILISATION
    store.add([measurement(*row[1:], time, **changes) for row, time in zip(rows, times, strict=True)])


def price(*rows: tuple[int, int, int, int], context: ExecutionContext = EAGER):
    return Ladder(load_device("cpu"), context).price(ask(*rows))


def test_an_exact_hit_is_what_was_measured(store):
    store.add([measurement(100, 200, 300, 1.0)])
    found = price((1, 100, 200, 300))
    assert found.source.tolist() == ["measured"]
    assert (found.value_s[0], found.low_s[0], found.high_s[0]) == (1.0, 0.9, 1.3)


def test_ops_of_the_same_dims_have_the_median_and_the_widest_interval(store):
    store.add(measurement(100, 200, 300, seconds, signature=str(seconds)) for seconds in (1.0, 2.0, 4.0))
    found = price((1, 100, 200, 300))
    assert (found.value_s[0], found.low_s[0]) == (2.0, 0.9)
    assert found.high_s[0] == pytest.approx(5.2)


def test_between_measured_kernels_utilisation_is_interpolated(store):
    fill(store)
    found = price((1, 100, 200, 300))
    assert found.source.tolist() == ["interpolated"]
    assert found.value_s[0] == pytest.approx(modelled_s((1, 100, 200, 300))[0] / UTILISATION)
    assert found.low_s[0] <= found.value_s[0] <= found.high_s[0]


@pytest.mark.parametrize(
    "row", [(1, 32, 200, 300), (1, 100, 1024, 300), (1, 100, 200, 520), (1, 1024, 1024, 1024)]
)
def test_outside_of_the_measured_kernels_the_model_answers(store, row):
    fill(store)
    assert price(row).source[0] not in ("measured", "interpolated")
    assert price(row).value_s[0] == modelled_s(row)[0]


def test_far_from_every_measured_kernel_the_model_answers(store):
    """Two clusters far apart: the middle is inside the box of all and near none."""
    rows = [(1, m, n, k) for m, n, k in ((4, 4, 4), (4096, 4096, 4096))]
    near = [(1, m + step, n, k) for _, m, n, k in rows for step in range(8)]
    store.add([measurement(*row[1:], 1.0) for row in near])
    assert price((1, 128, 128, 128)).source[0] not in ("measured", "interpolated")


def test_too_few_measured_kernels_are_no_neighbourhood(store):
    rows = [(1, 64, 64, 64), (1, 128, 128, 128), (1, 256, 256, 256)]
    store.add([measurement(*row[1:], 1.0) for row in rows])
    assert price((1, 100, 100, 100)).source[0] not in ("measured", "interpolated")


def test_a_table_mixes_rungs_row_by_row(store):
    fill(store)
    rows = [(1, 4096, 64, 64), (1, 64, 64, 64), (1, 100, 100, 100), (1, 9, 9, 9)]
    found = price(*rows)
    assert [source in ("measured", "interpolated") for source in found.source] == [False, True, True, False]
    assert found.source[1:3].tolist() == ["measured", "interpolated"]
    factors = np.array([1, 1 / UTILISATION, 1 / UTILISATION, 1])
    assert found.value_s == pytest.approx(modelled_s(*rows) * factors)


def test_other_devices_contexts_and_threads_are_not_taken(store):
    store.add([measurement(64, 64, 64, 1.0)])
    row = (1, 64, 64, 64)
    assert price(row).source[0] == "measured"
    assert price(row, context=ExecutionContext(threads=2)).source[0] == "measured"
    assert price(row, context=ExecutionContext(threads=1)).source[0] != "measured"
    assert price(row, context=ExecutionContext(mode="compiled")).source[0] != "measured"
    assert Ladder(load_device("t4"), EAGER).price(ask(row)).source[0] != "measured"


def test_without_a_number_of_threads_the_largest_counts(store):
    store.add([measurement(64, 64, 64, 1.0), measurement(64, 64, 64, 9.0, threads=1)])
    assert price((1, 64, 64, 64)).value_s[0] == 1.0


def test_what_is_measured_later_is_seen(store):
    store.add([measurement(64, 64, 64, 1.0)])
    assert price((1, 64, 64, 64)).value_s[0] == 1.0
    store.add([measurement(64, 64, 64, 2.0), measurement(1, 1, 1, 2.0)])
    assert price((1, 64, 64, 64)).value_s[0] == 2.0


def test_an_empty_variable_and_a_flag_leave_it_out(store, monkeypatch):
    store.add([measurement(64, 64, 64, 1.0)])
    row = (1, 64, 64, 64)
    plain = Ladder(load_device("cpu"), EAGER, measured=False).price(ask(row))
    assert plain.source[0] != "measured"
    monkeypatch.setenv("STEELYARD_PROFILES", "")
    assert price(row).source[0] != "measured"
